#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "engine/store/repository.h"
#include "tests/integration/support/file_server.h"
#include "tests/integration/support/store_tree.h"

namespace hc {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kLoginPage = "<html><body>Please log in</body></html>";

class PullTest : public testing::Test {
 protected:
  PullTest() {
    put_tree(dir_ / "tree",
             {{"usr/bin/tool", std::string(300000, 't')}, {"usr/etc/conf", "x=1\n"}, {"usr/lib/data", noise()}});
    Repository::CommitOptions options;
    options.root_owned = true;
    commit_ = must(archive_.commit_tree(dir_ / "tree", nullptr, options, nullptr, StopToken()));
    payload_ = TrustPolicy::vouch(*commit_);
    object_ = must(archive_.commit_object(*commit_));
    object_.detached = detached_;
    must(archive_.set_detached(*commit_, detached_));
  }

  static std::string noise(unsigned seed = 7) {
    std::string bytes;
    for (unsigned state = seed; bytes.size() < 200000; state = state * 1103515245 + 12345)
      bytes += static_cast<char>(state >> 16);
    return bytes;
  }

  Status pull(const std::string& url, PullLimits limits = {}, const ProgressFn& progress = nullptr) {
    must(node_.put_commit(*payload_, object_));
    return node_.pull(url, *payload_, limits, progress, StopToken());
  }

  // The file that holds a content object of the served repository: the largest, or the one after `skip` larger ones.
  fs::path content_object(const fs::path& repo, std::size_t skip = 0) const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(repo / "objects"))
      if (entry.is_regular_file() && entry.path().extension().string().starts_with(".file"))
        files.push_back(entry.path());
    std::sort(files.begin(), files.end(), [](auto& a, auto& b) { return fs::file_size(a) > fs::file_size(b); });
    return files.at(skip);
  }

  // Changes one byte in the middle.
  static void tamper(const fs::path& file) {
    std::string bytes = file_text(file);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    std::ofstream(file, std::ios::binary) << bytes;
  }

  static std::string object_id(const fs::path& file) {
    return file.parent_path().filename().string() + file.stem().string();
  }

  void expect_nothing_kept() {
    EXPECT_TRUE(must(node_.refs()).empty());
    EXPECT_FALSE(must(node_.is_complete(*commit_)));
  }

  TempDir dir_;
  Repository archive_ = must(Repository::create(dir_ / "archive", "archive"));
  Repository node_ = must(Repository::create(dir_ / "node", "bare"));
  FileServer server_{dir_ / "archive"};
  // {"test": <"kept">} as GVariant a{sv}
  std::string detached_ = [] {
    GVariantDict dict;
    g_variant_dict_init(&dict, nullptr);
    g_variant_dict_insert(&dict, "test", "s", "kept");
    const Variant variant(g_variant_ref_sink(g_variant_dict_end(&dict)));
    return std::string(static_cast<const char*>(g_variant_get_data(variant.get())), g_variant_get_size(variant.get()));
  }();
  std::optional<Commit> commit_;
  std::optional<VerifiedPayload> payload_;
  CommitObject object_;
};

TEST_F(PullTest, OverHttpWithProgressAndNoSummary) {
  std::uint64_t last = 0;
  must(pull(server_.url(), {}, [&](const Progress& p) {
    EXPECT_GT(p.total, 0U);
    last = p.done;
  }));
  EXPECT_GT(last, 0U);
  EXPECT_TRUE(must(node_.is_complete(*commit_)));
  must(node_.fsck(*commit_, nullptr, StopToken()));
  EXPECT_THAT(server_.requests(), Not(Contains(HasSubstr("summary"))));
  EXPECT_EQ(must(node_.commit_object(*commit_)).detached, detached_);
}

// A lower bound, which a slow machine cannot break: at this rate the data alone take three seconds.
TEST_F(PullTest, ALimitHolds) {
  for (int i = 0; i < 150; ++i)
    put_file(dir_ / "tree/usr/lib" / std::to_string(i), noise(static_cast<unsigned>(i)).substr(0, 40'000));
  commit_ = must(archive_.commit_tree(dir_ / "tree", nullptr, {}, nullptr, StopToken()));
  payload_ = TrustPolicy::vouch(*commit_);
  object_ = must(archive_.commit_object(*commit_));
  PullLimits limits;
  limits.bytes_per_s = 2'000'000;
  limits.stall_ms = 1'500;  // being held is not silence
  const auto start = std::chrono::steady_clock::now();
  must(pull(server_.url(), limits));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1'500));
  EXPECT_TRUE(must(node_.is_complete(*commit_)));
}

TEST_F(PullTest, AnOversizedSummaryIsNoObstacle) {
  put_file(dir_ / "archive/summary", std::string(12 << 20, 'x'));
  must(pull(server_.url()));
  EXPECT_TRUE(must(node_.is_complete(*commit_)));
}

TEST_F(PullTest, SignaturesOfTheSourceDoNotReplaceTheVerifiedOnes) {
  must(archive_.set_detached(*commit_, ""));
  server_.set_mischief([](const std::string& path, FileServer::Answer& answer) {
    if (path.ends_with(".commitmeta")) answer = {200, "text/html", kLoginPage};
  });
  must(pull(server_.url()));
  EXPECT_EQ(must(node_.commit_object(*commit_)).detached, detached_);
}

TEST_F(PullTest, TamperedObjectIsRefusedOverHttp) {
  const fs::path victim = content_object(dir_ / "archive");
  server_.set_mischief([&](const std::string& path, FileServer::Answer& answer) {
    // The same file with another content of the same size, as a forger would make it.
    if (path.find(object_id(victim).substr(2)) == std::string::npos) return;
    tamper(victim);
    answer.body = file_text(victim);
  });
  const Status refused = pull(server_.url());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), AllOf(HasSubstr("bad object"), HasSubstr(object_id(victim))));
  expect_nothing_kept();
}

TEST_F(PullTest, TamperedObjectIsRefusedFromADirectory) {
  Repository bare = must(Repository::create(dir_ / "bare", "bare"));
  must(bare.put_commit(*payload_, object_));
  must(bare.pull((dir_ / "archive").string(), *payload_, {}, nullptr, StopToken()));
  const fs::path victim = content_object(dir_ / "bare");
  tamper(victim);
  for (const std::string& url : {(dir_ / "bare").string(), "file://" + (dir_ / "bare").string()}) {
    const Status refused = pull(url);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::untrusted);
    EXPECT_THAT(refused.error().text(), AllOf(HasSubstr(object_id(victim)), HasSubstr("/usr/bin/tool")));
    expect_nothing_kept();
  }
}

TEST_F(PullTest, NothingIsSharedWithALocalSource) {
  Repository bare = must(Repository::create(dir_ / "bare", "bare"));
  must(bare.put_commit(*payload_, object_));
  must(bare.pull((dir_ / "archive").string(), *payload_, {}, nullptr, StopToken()));
  must(pull((dir_ / "bare").string()));
  for (const auto& entry : fs::recursive_directory_iterator(dir_ / "bare/objects"))
    if (entry.is_regular_file() && entry.path().extension() != ".commitmeta") tamper(entry.path());
  must(node_.fsck(*commit_, nullptr, StopToken()));
}

TEST_F(PullTest, MissingObjectIsNamed) {
  const fs::path victim = content_object(dir_ / "archive");
  fs::remove(victim);
  const Status local = pull((dir_ / "archive").string());
  ASSERT_FALSE(local);
  EXPECT_EQ(local.error().code(), Code::unavailable);
  EXPECT_THAT(local.error().text(), HasSubstr(object_id(victim)));
  const Status http = pull(server_.url());
  ASSERT_FALSE(http);
  EXPECT_EQ(http.error().code(), Code::unavailable);
  EXPECT_THAT(http.error().text(), HasSubstr("404"));
  expect_nothing_kept();
}

TEST_F(PullTest, LoginPageIsCalledOne) {
  server_.set_mischief([](const std::string&, FileServer::Answer& answer) { answer = {200, "text/html", kLoginPage}; });
  const Status refused = pull(server_.url());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::unavailable);
  EXPECT_THAT(refused.error().text(), AllOf(HasSubstr("127.0.0.1"), HasSubstr("web page")));
  EXPECT_LE(server_.requests().size(), 4U) << "no storm of retries";
  server_.set_mischief(nullptr);
  must(pull(server_.url()));
}

TEST_F(PullTest, LoginPageInPlaceOfObjects) {
  server_.set_mischief([](const std::string& path, FileServer::Answer& answer) {
    if (path.ends_with(".filez")) answer = {200, "text/html", kLoginPage};
  });
  const Status refused = pull(server_.url());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::unavailable);
  EXPECT_THAT(refused.error().text(), HasSubstr("bad object"));
  server_.set_mischief(nullptr);
  must(pull(server_.url()));
  must(node_.fsck(*commit_, nullptr, StopToken()));
}

TEST_F(PullTest, SilentServerStopsAtTheLimit) {
  server_.set_mischief([](const std::string&, FileServer::Answer& answer) { answer.silent = true; });
  const Status stalled = pull(server_.url(), {300});
  ASSERT_FALSE(stalled);
  EXPECT_EQ(stalled.error().code(), Code::unavailable);
  EXPECT_THAT(stalled.error().text(), HasSubstr("127.0.0.1 sent nothing for 300 ms"));
}

TEST_F(PullTest, ServerThatFallsSilentHalfWayIsResumed) {
  const std::string late = object_id(content_object(dir_ / "archive")).substr(2);
  server_.set_mischief([&](const std::string& path, FileServer::Answer& answer) {
    answer.silent = path.find(late) != std::string::npos;
  });
  // Long enough for the others to arrive on a busy machine.
  ASSERT_FALSE(pull(server_.url(), {5'000}));
  server_.set_mischief(nullptr);
  const std::size_t asked = server_.requests().size();
  must(pull(server_.url()));
  const std::vector<std::string> all = server_.requests();
  const auto again = std::count_if(all.begin() + static_cast<std::ptrdiff_t>(asked), all.end(),
                                   [](const std::string& path) { return path.ends_with(".filez"); });
  EXPECT_EQ(again, 1) << "only what was missing is fetched again";
}

TEST_F(PullTest, BrokenConnectionIsContinuedInTheSameCall) {
  const std::string victim = object_id(content_object(dir_ / "archive")).substr(2);
  std::atomic<int> cuts = 0;
  server_.set_mischief([&](const std::string& path, FileServer::Answer& answer) {
    if (path.find(victim) != std::string::npos && cuts++ == 0) answer.cut_after = answer.body.size() / 2;
  });
  must(pull(server_.url()));
  EXPECT_GT(cuts, 1);
  must(node_.fsck(*commit_, nullptr, StopToken()));
}

TEST_F(PullTest, EndlessObjectIsCutOff) {
  const std::string victim = object_id(content_object(dir_ / "archive")).substr(2);
  server_.set_mischief([&](const std::string& path, FileServer::Answer& answer) {
    if (path.find(victim) != std::string::npos) answer.body = std::string(8 << 20, 'x');
  });
  const Status refused = pull(server_.url());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::untrusted) << refused.error().text();
}

TEST_F(PullTest, StopRequestEndsAWaitingPull) {
  server_.set_mischief([](const std::string&, FileServer::Answer& answer) { answer.silent = true; });
  must(node_.put_commit(*payload_, object_));
  const StopToken stop;
  std::thread asker([&] {
    while (server_.requests().empty()) std::this_thread::yield();
    stop.request();
  });
  const Status stopped = node_.pull(server_.url(), *payload_, {}, nullptr, stop);
  asker.join();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), Code::cancelled);
}

TEST_F(PullTest, UnreachableAndSenselessAddresses) {
  const Status refused = pull("http://user:secret@127.0.0.1:1/repo");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::unavailable);
  EXPECT_THAT(refused.error().text(), Not(HasSubstr("secret")));
  EXPECT_EQ(pull((dir_ / "none").string()).error().code(), Code::unavailable);
  EXPECT_EQ(pull("ftp://127.0.0.1/").error().code(), Code::invalid);
  EXPECT_EQ(pull("").error().code(), Code::invalid);
}

TEST_F(PullTest, AnotherCommitObjectIsRefused) {
  CommitObject forged = object_;
  forged.bytes[forged.bytes.size() / 2] ^= 1;
  const Status refused = node_.put_commit(*payload_, forged);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::untrusted);
  EXPECT_FALSE(must(node_.has_commit(*commit_)));
}

}  // namespace
}  // namespace hc
