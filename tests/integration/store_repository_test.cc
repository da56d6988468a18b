#include <gmock/gmock.h>

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
