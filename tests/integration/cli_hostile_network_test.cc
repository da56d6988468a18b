#include <functional>

#include "tests/integration/node_in_folder.h"
#include "tests/support/http_server.h"

// Mirrors that lie, seen from `hc-os deploy`: each ends with a clear error and an untouched node, and once the mirror
// is honest again the same deploy works.
namespace hc {
namespace {

using ::testing::HasSubstr;

class HostileNetwork : public NodeInFolder {
 protected:
  using Mischief = std::function<bool(const HttpServer::Request&, HttpServer::Reply&)>;

  void serve(Mischief mischief, const std::string& repository = "repo") {
    server_.on("*", [this, mischief, repository](const HttpServer::Request& request, HttpServer::Reply& reply) {
      if (mischief && mischief(request, reply)) return;
      const auto content = read_file_if_exists(dir_ / repository / request.path.substr(1));
      if (content && *content)
        reply.answer(200, **content);
      else
        reply.answer(404, "nothing here");
    });
  }
  void start() {
    build("2.0", 2);
    init_with_remote(server_.url(""));
    const fs::path conf = node() / "ostree/slots/a/etc/honeycomb/honeycomb.conf";
    ASSERT_TRUE(write_atomically(conf, read_file(conf).value() + "[network]\nstall_s=5\nattempts=2\n"));
  }
  std::string refused(const std::string& version) {
    const std::string before = picture();
    const CommandResult result = os({"deploy", version, "--json"});
    EXPECT_THAT(result.status, ::testing::AllOf(::testing::Gt(0), ::testing::Lt(64))) << result.errors;
    const auto answer = parse_json(result.output);
    EXPECT_TRUE(answer) << result.output << result.errors;
    EXPECT_EQ(picture(), before);
    const std::string text = answer ? error_of(*answer) : "";
    EXPECT_NE(text, "");
    return text;
  }
  void works_again(const std::string& version) {
    serve(nullptr);
    EXPECT_EQ(os({"deploy", version}).status, 0);
  }
  std::string content(const HttpServer::Request& request) const {
    return read_file(dir_ / "repo" / request.path.substr(1)).value();
  }

  HttpServer server_;
};

bool is_object(const HttpServer::Request& request) { return request.path.ends_with(".filez"); }

TEST_F(HostileNetwork, RedirectsWithoutEnd) {
  start();
  serve([this](const HttpServer::Request& request, HttpServer::Reply& reply) {
    return reply.head(302, {"Location: " + server_.url(request.path + "x"), "Content-Length: 0"});
  });
  refused("2.0");
  works_again("2.0");
}

TEST_F(HostileNetwork, RedirectToAFileOfTheNode) {
  start();
  serve([this](const HttpServer::Request&, HttpServer::Reply& reply) {
    return reply.head(302, {"Location: file://" + (dir_ / "repo/config").string(), "Content-Length: 0"});
  });
  refused("2.0");
  works_again("2.0");
}

TEST_F(HostileNetwork, PackedBombs) {
  start();
  run({"sh", "-c", "head -c 100M /dev/zero | gzip > bomb"});
  const std::string bomb = read_file(dir_ / "bomb").value();
  serve([&](const HttpServer::Request&, HttpServer::Reply& reply) {
    return reply.answer(200, bomb, {"Content-Encoding: gzip"});
  });
  refused("2.0");
  serve([&](const HttpServer::Request& request, HttpServer::Reply& reply) {
    return is_object(request) && reply.answer(200, bomb);
  });
  refused("2.0");
  works_again("2.0");
}

TEST_F(HostileNetwork, LengthsThatAreNotTrue) {
  start();
  for (const bool more : {false, true}) {
    serve([&](const HttpServer::Request& request, HttpServer::Reply& reply) {
      if (!is_object(request)) return false;
      const std::string bytes = content(request);
      reply.head(200, {"Content-Length: " + std::to_string(more ? bytes.size() + 1'000'000 : bytes.size() / 2)});
      return reply.send(bytes);
    });
    refused("2.0");
  }
  works_again("2.0");
}

TEST_F(HostileNetwork, AnotherFileOnTheSecondHalf) {
  start();
  serve([&](const HttpServer::Request& request, HttpServer::Reply& reply) {
    if (!is_object(request)) return false;
    const std::string bytes = content(request);
    if (request.header("range").empty() && server_.count(request.path) < 2) {
      reply.head(200, {"Content-Length: " + std::to_string(bytes.size()), "ETag: \"one\""});
      return reply.send(bytes.substr(0, bytes.size() / 2));
    }
    return reply.answer(200, std::string(bytes.size(), 'x'), {"ETag: \"one\""});
  });
  refused("2.0");
  works_again("2.0");
}

// Freeze and rollback: everything the mirror says was signed once.
TEST_F(HostileNetwork, AMirrorOfThePast) {
  build("1.1", 2);
  run({"cp", "-a", "repo", "past"});
  build("2.0", 3);
  build("3.0", 4);
  init_with_remote(server_.url(""));
  serve(nullptr);
  os_json({"deploy", "2.0"});
  sandbox({"reboot", "node"});
  ASSERT_EQ(running_version(), "2.0");
  // It gives 1.1 under its own name, and under that of the version that was asked for.
  serve(nullptr, "past");
  const std::size_t begun = server_.requests().size();
  EXPECT_THAT(refused("1.1"), HasSubstr("downgrade"));
  const std::string old = read_file(dir_ / "past/refs/heads/os/1.1").value();
  serve(
      [&](const HttpServer::Request& request, HttpServer::Reply& reply) {
        return request.path.find("refs/heads/os/3.0") != std::string::npos && reply.answer(200, old);
      },
      "past");
  refused("3.0");
  const auto requests = server_.requests();
  for (std::size_t i = begun; i < requests.size(); ++i) EXPECT_FALSE(is_object(requests[i])) << requests[i].path;
  EXPECT_EQ(running_version(), "2.0");
  works_again("3.0");
}

}  // namespace
}  // namespace hc
