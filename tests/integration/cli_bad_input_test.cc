#include <functional>

#include "tests/integration/node_in_folder.h"
#include "tests/support/http_server.h"

// Everything that a node must refuse: with one clear reason, and nothing changed.
namespace hc {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

class BadInput : public NodeInFolder {
 protected:
  // The deploy must fail so and leave everything as it was.
  void refused(const std::string& what, int status, const ::testing::Matcher<std::string>& text) {
    const std::string before = picture();
    const Json answer = os_json({"deploy", what}, status);
    EXPECT_THAT(error_of(answer), text);
    EXPECT_EQ(picture(), before);
  }
  // Serves the repository over HTTP; `mischief` may answer instead and returns true then.
  using Mischief = std::function<bool(const HttpServer::Request&, HttpServer::Reply&)>;
  void serve(HttpServer& server, Mischief mischief = nullptr) const {
    server.on("*", [this, mischief](const HttpServer::Request& request, HttpServer::Reply& reply) {
      if (mischief && mischief(request, reply)) return;
      const auto content = read_file_if_exists(dir_ / "repo" / request.path.substr(1));
      if (content && *content)
        reply.answer(200, **content);
      else
        reply.answer(404, "nothing here");
    });
  }
  std::string object(const std::string& suffix) const {
    return run({"sh", "-c", "find repo/objects -name '*." + suffix + "' | sort | head -n 1"}).output;
  }
};

TEST_F(BadInput, Unsigned) {
  init_with_remote();
  const std::string commit = build("2.0", 2);
  const fs::path detached = dir_ / "repo/objects" / commit.substr(0, 2) / (commit.substr(2) + ".commitmeta");
  ASSERT_TRUE(fs::remove(detached));
  refused("2.0", 4, HasSubstr("not signed"));
}

TEST_F(BadInput, SignedByAStranger) {
  init_with_remote();
  hc({"keygen", "stranger"});
  build("2.0", 2, {"--key", "stranger.key"});
  refused("2.0", 4, HasSubstr("trust"));
}

TEST_F(BadInput, KeyNotAllowedForThisTarget) {
  hc({"keygen", "camera", "--targets", "ptz-*"});
  init_with_remote();
  ASSERT_TRUE(fs::copy_file(dir_ / "camera.pub", node() / "ostree/slots/a/etc/honeycomb/trust.d/camera.pub"));
  build("2.0", 2, {"--key", "camera.key"});
  refused("2.0", 4, HasSubstr("camera"));
}

TEST_F(BadInput, RevokedKeyAndBlockedCommit) {
  init_with_remote();
  const std::string commit = build("2.0", 2);
  const fs::path etc = node() / "ostree/slots/a/etc/honeycomb";
  ASSERT_TRUE(make_dirs(etc / "blocked.d"));
  ASSERT_TRUE(write_atomically(etc / "blocked.d/bad", commit + "\n"));
  refused("2.0", 4, HasSubstr("blocked"));
  ASSERT_TRUE(fs::remove(etc / "blocked.d/bad"));
  ASSERT_TRUE(make_dirs(etc / "revoked.d"));
  ASSERT_TRUE(fs::copy_file(dir_ / "release.pub", etc / "revoked.d/release.pub"));
  refused("2.0", 4, HasSubstr("revoked"));
}

TEST_F(BadInput, TooFewSignatures) {
  init_with_remote();
  const fs::path conf = node() / "ostree/slots/a/etc/honeycomb/honeycomb.conf";
  ASSERT_TRUE(write_atomically(conf, read_file(conf).value() + "[threshold]\nos=2\n"));
  build("2.0", 2);
  refused("2.0", 4, HasSubstr("2"));
}

TEST_F(BadInput, TamperedCommit) {
  init_with_remote();
  const std::string commit = build("2.0", 2);
  const fs::path file = dir_ / "repo/objects" / commit.substr(0, 2) / (commit.substr(2) + ".commit");
  std::string bytes = read_file(file).value();
  bytes[bytes.size() / 2] ^= 1;
  ASSERT_TRUE(write_atomically(file, bytes));
  refused("2.0", 4, HasSubstr("commit"));
}

TEST_F(BadInput, TamperedObjectOfTheSameSize) {
  init_with_remote();
  build("2.0", 2);
  const std::string victim =
      std::string(trimmed(run({"sh", "-c", "ls -t $(find repo/objects -name '*.filez') | head -n 1"}).output));
  std::string bytes = read_file(dir_ / victim).value();
  bytes[bytes.size() - 6] ^= 1;
  ASSERT_TRUE(write_atomically(dir_ / victim, bytes));
  refused("2.0", 4, HasSubstr("object"));
}

TEST_F(BadInput, MadeForAnotherModel) {
  init_with_remote();
  build("2.0", 2, {"--compatible", "wild-sage-*"});
  refused("2.0", 3, AllOf(HasSubstr("wild-sage-*"), HasSubstr("sandbox")));
}

TEST_F(BadInput, DowngradeThatIsNotInTheHistory) {
  build("1.1", 2);
  build("2.0", 3);
  init_with_remote();
  os_json({"deploy", "2.0"});
  sandbox({"reboot", "node"});
  refused("1.1", 4, HasSubstr("downgrade"));
}

TEST_F(BadInput, ReplayedOlderVersionIsSeenAfterARollbackToo) {
  build("1.1", 2);
  build("2.0", 3);
  init_with_remote();
  os_json({"deploy", "2.0"});
  sandbox({"reboot", "node"});
  os_json({"rollback"});
  sandbox({"reboot", "node"});
  refused("1.1", 4, HasSubstr("downgrade"));
}

TEST_F(BadInput, UnknownAndImpossibleNames) {
  init_with_remote();
  refused("9.9", 3, HasSubstr("nothing is called"));
  refused(std::string(64, 'f'), 3, HasSubstr("nothing is called"));
  refused("../../etc/passwd", 3, HasSubstr("name"));
  refused("2.0;rm", 3, HasSubstr("name"));
}

TEST_F(BadInput, AmbiguousName) {
  build("2.0", 2);
  init_with_remote();
  run({"cp", "-a", "repo", "repo-one"});
  fs::remove_all(dir_ / "tree-2.0");
  put(tree("2.0") / "usr/share/other", "other");
  fs::remove_all(dir_ / "repo");
  build("2.0", 2);
  ASSERT_EQ(os({"remote", "add", "second", "repo-one"}).status, 0);
  refused("2.0", 3, HasSubstr("ambiguous"));
}

TEST_F(BadInput, ABranchCalledLikeACommitIsNotThatCommit) {
  const std::string commit = build("2.0", 2);
  init_with_remote();
  const std::string impostor = std::string(64, 'c');
  run({"sh", "-c", "mkdir -p repo/refs/heads && echo " + commit + " > repo/refs/heads/" + impostor});
  refused(impostor, 3, HasSubstr("nothing is called"));
}

TEST_F(BadInput, UnreachableRemote) {
  init_with_remote("http://127.0.0.1:" + std::to_string(closed_port()));
  refused("2.0", 5, HasSubstr("remote origin"));
}

TEST_F(BadInput, CaptivePortal) {
  HttpServer server;
  serve(server, [](const HttpServer::Request&, HttpServer::Reply& reply) {
    return reply.answer(200, "<!DOCTYPE html><html><body>Please log in</body></html>", {"Content-Type: text/html"});
  });
  init_with_remote(server.url(""));
  refused("2.0", 5, HasSubstr("HTML"));
}

TEST_F(BadInput, PortalThatAppearsHalfWay) {
  build("2.0", 2);
  HttpServer server;
  serve(server, [](const HttpServer::Request& request, HttpServer::Reply& reply) {
    if (!request.path.ends_with(".filez")) return false;
    return reply.answer(200, "<!DOCTYPE html><html><body>Please log in</body></html>", {"Content-Type: text/html"});
  });
  init_with_remote(server.url(""));
  refused("2.0", 5, AnyOf(HasSubstr("HTML"), HasSubstr("portal")));
  serve(server);
  os_json({"deploy", "2.0"});
}

TEST_F(BadInput, SilentServerIsGivenUp) {
  build("2.0", 2);
  HttpServer server;
  serve(server, [](const HttpServer::Request& request, HttpServer::Reply& reply) {
    if (!request.path.ends_with(".filez")) return false;
    reply.hang();
    return true;
  });
  init_with_remote(server.url(""));
  const fs::path conf = node() / "ostree/slots/a/etc/honeycomb/honeycomb.conf";
  ASSERT_TRUE(write_atomically(conf, read_file(conf).value() + "[network]\nstall_s=1\nattempts=1\n"));
  refused("2.0", 5, HasSubstr("sent nothing"));
  serve(server);
  os_json({"deploy", "2.0"});
}

TEST_F(BadInput, TruncatedDownload) {
  build("2.0", 2);
  HttpServer server;
  serve(server, [this](const HttpServer::Request& request, HttpServer::Reply& reply) {
    if (!request.path.ends_with(".filez")) return false;
    const std::string content = read_file(dir_ / "repo" / request.path.substr(1)).value();
    reply.head(200, {"Content-Length: " + std::to_string(content.size())});
    return reply.send(content.substr(0, content.size() / 2));
  });
  init_with_remote(server.url(""));
  const std::string before = picture();
  const Json answer = os_json({"deploy", "2.0"}, 5);
  EXPECT_NE(error_of(answer), "");
  EXPECT_EQ(picture(), before);
}

TEST_F(BadInput, SignatureIsCheckedBeforeAnyContentIsFetched) {
  hc({"keygen", "stranger"});
  build("2.0", 2, {"--key", "stranger.key"});
  HttpServer server;
  serve(server);
  init_with_remote(server.url(""));
  refused("2.0", 4, HasSubstr("trust"));
  for (const HttpServer::Request& request : server.requests())
    EXPECT_THAT(request.path, AnyOf(HasSubstr("/refs/heads/"), HasSubstr(".commit"), HasSubstr(".hch")));
}

TEST_F(BadInput, FullDisk) {
  mount_small_ext4("node", 64);
  put(tree("2.0") / "usr/share/huge", [] {
    std::string noise(80 << 20, ' ');
    std::uint32_t state = 1;
    for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return noise;
  }());
  build("2.0", 2);
  init_with_remote();
  refused("2.0", 6, AllOf(HasSubstr("need"), HasSubstr("have")));
}

TEST_F(BadInput, OutOfInodes) {
  mount_small_ext4("node", 64, {"-N", "700"});
  for (int i = 0; i < 900; ++i) put(tree("2.0") / ("usr/share/many/" + std::to_string(i)), "file " + std::to_string(i));
  build("2.0", 2);
  init_with_remote();
  refused("2.0", 6, HasSubstr("inodes"));
}

TEST_F(BadInput, FullBootPartition) {
  put(tree("2.0") / "usr/lib/modules/6.1.0-test/initramfs.img", std::string(6 << 20, 'i'));
  hook("2.0", "hc_state_check.sh", "touch \"$HC_STATE_DIR/ran\"");
  build("2.0", 2);
  init_with_remote();
  run({"cp", "-a", "node/boot", "boot-copy"});
  mount_small_ext4("node/boot", 8);
  run({"sh", "-c", "cp -a boot-copy/. node/boot/; head -c 3M /dev/zero > node/boot/ballast"});
  refused("2.0", 6, HasSubstr("boot"));
  EXPECT_FALSE(fs::exists(node() / "ostree/deploy/honeycomb/var/lib/honeycomb/state/os/ran"))
      << "no hook runs before the space is checked";
}

TEST_F(BadInput, WrongSettingsAreNamed) {
  init_with_remote();
  const fs::path conf = node() / "ostree/slots/a/etc/honeycomb/honeycomb.conf";
  ASSERT_TRUE(write_atomically(conf, "[boot]\ntrys=3\n"));
  EXPECT_THAT(error_of(os_json({"status"}, 3)), AllOf(HasSubstr("honeycomb.conf"), HasSubstr("[boot] trys")));
  ASSERT_TRUE(write_atomically(conf, "[boot]\ntries=many\n"));
  EXPECT_THAT(error_of(os_json({"status"}, 3)), HasSubstr("[boot] tries"));
}

TEST_F(BadInput, UnbootableKernelIsRefusedBeforeAnyHook) {
  hook("2.0", "hc_state_check.sh", "touch \"$HC_STATE_DIR/ran\"");
  init_with_remote();
  EXPECT_EQ(hc({"build", "tree-2.0/usr", "--target", "os", "--version", "2.0", "--sequence", "2", "--key",
                "release.key", "--repo", "repo"})
                .status,
            3);
}

}  // namespace
}  // namespace hc
