#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/store/repository.h"
#include "tests/integration/support/store_tree.h"

namespace hc {
namespace {

using testing::HasSubstr;

class RepositoryTest : public testing::Test {
 protected:
  Commit commit(Repository& repo, const std::map<std::string, std::string>& files, std::int64_t time = 1000) {
    const TempDir tree;
    put_tree(tree / "root", files);
    Repository::CommitOptions options;
    options.timestamp = time;
    options.root_owned = true;
    return must(repo.commit_tree(tree / "root", nullptr, options, nullptr, StopToken()));
  }

  TempDir dir_;
  Repository archive_ = must(Repository::create(dir_ / "archive", "archive"));
  Repository node_ = must(Repository::create(dir_ / "node", "bare"));
};

TEST_F(RepositoryTest, SameTreeGivesSameCommit) {
  Repository elsewhere = must(Repository::create(dir_ / "elsewhere", "archive"));
  const Commit first = commit(archive_, {{"a", "1"}, {"d/b", "2"}});
  commit(elsewhere, {{"x", "1"}, {"d/b", "2"}});
  EXPECT_EQ(first, commit(elsewhere, {{"a", "1"}, {"d/b", "2"}})) << "what else a repository holds must not show";
  EXPECT_NE(first, commit(archive_, {{"a", "1"}, {"d/b", "3"}}));
}

TEST_F(RepositoryTest, PullsFromALocalRepository) {
  const Commit commit_id = commit(archive_, {{"a", "1"}, {"d/b", "2"}});
  const VerifiedPayload payload = TrustPolicy::vouch(commit_id);
  const CommitObject object = must(archive_.commit_object(commit_id));
  const TreeSize size = must(node_.missing(object));
  EXPECT_TRUE(size.known);
  EXPECT_EQ(size.objects, 5U);
  must(node_.put_commit(payload, object));
  EXPECT_TRUE(must(node_.has_commit(commit_id)));
  EXPECT_FALSE(must(node_.is_complete(commit_id)));
  must(node_.pull((dir_ / "archive").string(), payload, {}, nullptr, StopToken()));
  EXPECT_TRUE(must(node_.is_complete(commit_id)));
  must(node_.fsck(commit_id, nullptr, StopToken()));
  EXPECT_EQ(must(node_.missing(object)).objects, 0U);
  EXPECT_EQ(must(node_.read_file(commit_id, "d/b")), "2");
  EXPECT_EQ(must(node_.read_file(commit_id, "/d/none")), std::nullopt);
  EXPECT_TRUE(must(node_.checkout(commit_id, "d", dir_ / "out")));
  EXPECT_EQ(file_text(dir_ / "out/b"), "2");
  EXPECT_FALSE(must(node_.checkout(commit_id, "none", dir_ / "out")));
}

TEST_F(RepositoryTest, DamagedObjectsAreNamedAndFetchedAgain) {
  const Commit id = commit(archive_, {{"a", "11111"}, {"d/b", "22222"}, {"d/c", "33333"}});
  const VerifiedPayload payload = TrustPolicy::vouch(id);
  const auto fetch = [&] {
    must(node_.put_commit(payload, must(archive_.commit_object(id))));
    must(node_.pull((dir_ / "archive").string(), payload, {}, nullptr, StopToken()));
  };
  fetch();
  for (const auto& entry : fs::recursive_directory_iterator(dir_ / "node/objects")) {
    if (!entry.is_regular_file()) continue;
    if (file_text(entry.path()) == "11111")
      fs::remove(entry.path());
    else if (file_text(entry.path()) == "22222")
      put_file(entry.path(), "2222x");
  }
  EXPECT_FALSE(must(node_.is_complete(id)));
  const Status status = node_.fsck(id, nullptr, StopToken());
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), testing::AllOf(HasSubstr("2 bad or missing objects"), HasSubstr("(/a)"),
                                                    HasSubstr("(/d/b)"), testing::Not(HasSubstr("(/d/c)"))));
  EXPECT_EQ(must(node_.drop_damaged(id, nullptr, StopToken())), 1U);
  fetch();
  must(node_.fsck(id, nullptr, StopToken()));
}

TEST_F(RepositoryTest, OddFilesAmongTheRefsHideNothing) {
  const Commit id = commit(node_, {{"a", "1"}});
  must(node_.set_ref("os/1.0", id));
  put_file(dir_ / "node/refs/heads/.latest_rsync", "");
  put_file(dir_ / "node/refs/heads/os/half", "0123");
  fs::create_directories(dir_ / "node/refs/heads/os/2.0");
  EXPECT_EQ(must(node_.refs()), (std::vector<std::pair<std::string, Commit>>{{"os/1.0", id}}));
  EXPECT_FALSE(node_.ref("os/half"));
  EXPECT_EQ(must(node_.ref("os/2.0")), std::nullopt);
  must(node_.set_ref("os/2.0", id));
  EXPECT_EQ(must(node_.ref("os/2.0")), id);
}

TEST_F(RepositoryTest, ModesOwnersAndAttributesAreKept) {
  if (::geteuid() != 0) GTEST_SKIP() << "owners are root's to give";
  put_tree(dir_ / "tree", {{"suid", "x"}, {"owned", "y"}});
  ASSERT_EQ(::chown((dir_ / "tree/owned").c_str(), 12345, 23456), 0);
  ASSERT_EQ(::chmod((dir_ / "tree/suid").c_str(), 04711), 0);
  const Commit id = must(node_.commit_tree(dir_ / "tree", nullptr, {}, nullptr, StopToken()));
  must(node_.checkout(id, "", dir_ / "out"));
  struct stat info {};
  ASSERT_EQ(::stat((dir_ / "out/suid").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 04711U);
  ASSERT_EQ(::stat((dir_ / "out/owned").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 12345U);
  EXPECT_EQ(info.st_gid, 23456U);
  EXPECT_EQ(info.st_nlink, 1U) << "a copy, not a link into the repository";
}

TEST_F(RepositoryTest, LimitsAndKindsOfReadFile) {
  put_tree(dir_ / "tree", {{"big", std::string(1000, 'x')}});
  fs::create_symlink("big", dir_ / "tree/link");
  const Commit id = must(node_.commit_tree(dir_ / "tree", nullptr, {}, nullptr, StopToken()));
  EXPECT_EQ(must(node_.read_file(id, "big", 1000))->size(), 1000U);
  EXPECT_EQ(node_.read_file(id, "big", 999).error().code(), Code::invalid);
  EXPECT_FALSE(node_.read_file(id, "link"));
  EXPECT_FALSE(node_.read_file(id, "/"));
  EXPECT_EQ(must(node_.read_file(id, "big/below")), std::nullopt);
}

TEST_F(RepositoryTest, PruneTakesOnlyWhatNoRefNeeds) {
  const Commit kept = commit(node_, {{"a", "1"}});
  const Commit dropped = commit(node_, {{"a", std::string(50000, 'x')}});
  must(node_.set_ref("os/1.0", kept));
  EXPECT_GE(must(node_.prune()), 50000U);
  EXPECT_TRUE(must(node_.is_complete(kept)));
  EXPECT_FALSE(must(node_.has_commit(dropped)));
}

TEST_F(RepositoryTest, RefsAreExact) {
  const Commit first = commit(node_, {{"a", "1"}});
  const Commit second = commit(node_, {{"a", "2"}});
  const std::string looks_like_a_checksum = second.hex().substr(0, 7);
  must(node_.set_ref(looks_like_a_checksum, first));
  EXPECT_EQ(must(node_.ref(looks_like_a_checksum)), first);
  EXPECT_EQ(must(node_.ref(second.hex().substr(0, 9))), std::nullopt);
  EXPECT_FALSE(node_.set_ref(second.hex(), first));
  EXPECT_FALSE(node_.ref("../../config"));
  must(node_.set_ref("os/2.0", second));
  EXPECT_EQ(must(node_.ref("os")), std::nullopt);
  EXPECT_EQ(must(node_.refs("os/")).size(), 1U);
  EXPECT_EQ(must(node_.refs()).size(), 2U);
  must(node_.set_ref("os/2.0", std::nullopt));
  EXPECT_EQ(must(node_.ref("os/2.0")), std::nullopt);
}

}  // namespace
}  // namespace hc
