#include <gio/gio.h>
#include <gmock/gmock.h>

#include <thread>

#include "engine/net/http.h"
#include "tests/support/http_server.h"

// http_get against a real server on 127.0.0.1 that misbehaves on demand.
namespace hc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kLimit = 1 << 20;
using Request = HttpServer::Request;
using Reply = HttpServer::Reply;

class HttpGet : public testing::Test {
 protected:
  static HttpLimits quick() {
    HttpLimits limits;
    limits.connect_ms = 2'000;
    limits.stall_ms = 300;
    limits.attempts = 1;
    limits.pause_ms = 1;
    return limits;
  }
  Result<std::string> get(const std::string& path, const HttpLimits& limits = quick(), std::uint64_t most = kLimit) {
    return http_get(server_.url(path), most, limits, stop_);
  }
  Error refused(const std::string& path, const HttpLimits& limits = quick(), std::uint64_t most = kLimit) {
    Result<std::string> result = get(path, limits, most);
    if (result) return Error(Code::internal, "it was accepted: " + *result);
    return std::move(result).error();
  }
  void answer(const std::string& path, int status, const std::string& body,
              const std::vector<std::string>& headers = {}) {
    server_.on(path, [=](const Request&, Reply& reply) { reply.answer(status, body, headers); });
  }
  std::string host() const { return "127.0.0.1:" + std::to_string(server_.port()); }

  HttpServer server_;
  StopToken stop_;
};

TEST_F(HttpGet, GivesTheWholeContent) {
  std::string body;
  for (int i = 0; i < 200'000; ++i) body += static_cast<char>(i * 7);
  server_.serve("/data", body);
  EXPECT_EQ(get("/data").value(), body);
  EXPECT_THAT(server_.requests().at(0).header("user-agent"), HasSubstr("honeycomb/"));
}

TEST_F(HttpGet, ReadsAnAnswerThatEndsWithTheConnection) {
  server_.on("/data", [](const Request&, Reply& reply) {
    reply.head(200);
    reply.send("part one, ");
    reply.wait(50);
    reply.send("part two");
  });
  EXPECT_EQ(get("/data").value(), "part one, part two");
}

TEST_F(HttpGet, MissingIsNotFoundAndNotAskedAgain) {
  answer("/x", 404, "<html>sorry</html>", {"Content-Type: text/html"});
  HttpLimits limits = quick();
  limits.attempts = 3;
  const Error error = refused("/x", limits);
  EXPECT_EQ(error.code(), Code::invalid);
  EXPECT_THAT(error.text(), AllOf(HasSubstr("not found"), HasSubstr(server_.url("/x"))));
  EXPECT_EQ(server_.count("/x"), 1U);
}

TEST_F(HttpGet, ALoginPageIsNamedByItsTypeOrItsFirstBytes) {
  answer("/type", 200, "<p>log in", {"Content-Type: text/html; charset=utf-8"});
  answer("/bytes", 200, "\n <!DOCTYPE HTML><title>log in</title>", {"Content-Type: application/octet-stream"});
  server_.on("/slowly", [](const Request&, Reply& reply) {
    reply.head(200);
    for (const char c : std::string("<html>log in</html>")) reply.send({&c, 1}) && reply.wait(5);
  });
  for (const char* path : {"/type", "/bytes", "/slowly"}) {
    const Error error = refused(path);
    EXPECT_EQ(error.code(), Code::unavailable) << path;
    EXPECT_EQ(error.text(), "HTML from " + host() + ": a login page (captive portal) or a wrong address") << path;
  }
}

TEST_F(HttpGet, WorksOnceThePortalIsGone) {
  answer("/data", 200, "<html>log in", {"Content-Type: text/html"});
  EXPECT_FALSE(get("/data"));
  server_.serve("/data", "content");
  EXPECT_EQ(get("/data").value(), "content");
}

TEST_F(HttpGet, NothingWhereDataWasWantedIsAnError) {
  answer("/204", 204, "");
  answer("/empty", 200, "");
  EXPECT_EQ(refused("/204").code(), Code::unavailable);
  EXPECT_THAT(refused("/204").text(), HasSubstr("204"));
  EXPECT_THAT(refused("/empty").text(), HasSubstr("nothing where data was wanted"));
}

TEST_F(HttpGet, FollowsRedirectsUpToTheLimit) {
  for (int i = 0; i < 6; ++i)
    answer("/" + std::to_string(i), 302, "<html>moved</html>", {"Location: " + std::to_string(i + 1)});
  server_.serve("/6", "here");
  EXPECT_EQ(get("/1").value(), "here");
  EXPECT_THAT(refused("/0").text(), HasSubstr("more than 5 times"));
  EXPECT_EQ(refused("/0").code(), Code::invalid);
}

TEST_F(HttpGet, EndsARedirectLoop) {
  answer("/loop", 301, "", {"Location: /loop"});
  EXPECT_THAT(refused("/loop").text(), HasSubstr("redirects"));
  EXPECT_EQ(server_.count("/loop"), 6U);
}

TEST_F(HttpGet, FollowsNoRedirectToAnotherKindOfAddress) {
  for (const char* place : {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "data:,x"}) {
    answer("/away", 302, "", {std::string("Location: ") + place});
    EXPECT_EQ(refused("/away").code(), Code::invalid) << place;
  }
}

TEST_F(HttpGet, CredentialsReachTheirServerAndNobodyElse) {
  HttpServer stranger;
  stranger.serve("/there", "content");
  answer("/away", 302, "", {"Location: " + stranger.url("/there")});
  answer("/same", 302, "", {"Location: /here"});
  server_.serve("/here", "content");
  const std::string start = "http://user:se%2Fcret@" + host();
  ASSERT_TRUE(http_get(start + "/away", kLimit, quick(), stop_));
  EXPECT_EQ(server_.requests().at(0).header("authorization"), "Basic dXNlcjpzZS9jcmV0");
  EXPECT_EQ(stranger.requests().at(0).header("authorization"), "");
  ASSERT_TRUE(http_get(start + "/same", kLimit, quick(), stop_));
  EXPECT_EQ(server_.requests().at(2).header("authorization"), "Basic dXNlcjpzZS9jcmV0");
}

TEST_F(HttpGet, CredentialsReachNoText) {
  answer("/403", 403, "");
  answer("/html", 200, "<html>", {"Content-Type: text/html"});
  answer("/500", 500, "");
  answer("/away", 302, "", {"Location: ftp://user:secret@127.0.0.1/"});
  answer("/nowhere", 302, "", {"Location: http://user:secret@/"});
  const std::string start = "http://user:secret@" + host();
  for (const char* path : {"/403", "/404?token=secret", "/html", "/500", "/away", "/nowhere", "/ bad"}) {
    const auto result = http_get(start + path, kLimit, quick(), stop_);
    ASSERT_FALSE(result) << path;
    EXPECT_THAT(result.error().text(), Not(HasSubstr("secret"))) << path;
    EXPECT_THAT(result.error().hint(), Not(HasSubstr("secret"))) << path;
  }
  for (const std::string& url :
       {"http://user:secret@127.0.0.1:" + std::to_string(closed_port()) + "/", std::string("user:secret@host"),
        std::string("http://user:secret@bad host/"), std::string("ftp://user:secret@host/x")}) {
    const auto result = http_get(url, kLimit, quick(), stop_);
    ASSERT_FALSE(result) << url;
    EXPECT_THAT(result.error().text(), Not(HasSubstr("secret"))) << url;
  }
}

TEST_F(HttpGet, AsksAgainWhileItMayPass) {
  std::atomic<int> left = 2;
  server_.on("/data", [&](const Request&, Reply& reply) {
    if (left-- > 0) {
      reply.answer(503, "busy", {"Retry-After: 0"});
    } else {
      reply.answer(200, "content");
    }
  });
  HttpLimits limits = quick();
  limits.attempts = 3;
  EXPECT_EQ(get("/data", limits).value(), "content");
  EXPECT_EQ(server_.count("/data"), 3U);
}

TEST_F(HttpGet, GivesUpAfterTheLastAttempt) {
  answer("/data", 503, "<html>busy</html>", {"Content-Type: text/html"});
  HttpLimits limits = quick();
  limits.attempts = 3;
  const Error error = refused("/data", limits);
  EXPECT_EQ(error.code(), Code::unavailable);
  EXPECT_THAT(error.text(), HasSubstr("503"));
  EXPECT_EQ(server_.count("/data"), 3U);
}

TEST_F(HttpGet, RefusedRequestsAreNotRepeated) {
  HttpLimits limits = quick();
  limits.attempts = 3;
  for (const int status : {400, 401, 403, 410, 451}) {
    answer("/data", status, "no");
    const std::size_t before = server_.count("/data");
    EXPECT_EQ(refused("/data", limits).code(), Code::invalid) << status;
    EXPECT_EQ(server_.count("/data"), before + 1) << status;
  }
}

TEST_F(HttpGet, GivesUpOnSilence) {
  server_.on("/silent", [](const Request&, Reply& reply) { reply.hang(); });
  server_.on("/headers", [](const Request&, Reply& reply) {
    reply.send("HTTP/1.1 200 Fine\r\nX-A");
    reply.hang();
  });
  server_.on("/body", [](const Request&, Reply& reply) {
    reply.head(200, {"Content-Length: 100000"});
    reply.send(std::string(30'000, 'x'));
    reply.hang();
  });
  for (const char* path : {"/silent", "/headers", "/body"}) {
    const Error error = refused(path);
    EXPECT_EQ(error.code(), Code::unavailable) << path;
    EXPECT_THAT(error.text(), HasSubstr("sent nothing for")) << path;
  }
}

TEST_F(HttpGet, HeadersThatTrickleAreSilence) {
  server_.on("/headers", [](const Request&, Reply& reply) {
    reply.send("HTTP/1.1 200 Fine\r\nX-Slow: ");
    while (reply.send("x") && reply.wait(20)) {
    }
  });
  EXPECT_THAT(refused("/headers").text(), HasSubstr("sent nothing for"));
}

TEST_F(HttpGet, ASlowLinkThatMovesIsNeverCut) {
  const std::string body(100, 'x');
  server_.on("/slow", [&](const Request&, Reply& reply) {
    reply.head(200, {"Content-Length: 100"});
    for (const char c : body) reply.send({&c, 1}) && reply.wait(50);
  });
  // Far above the stall limit altogether, and each pause far below it.
  HttpLimits limits = quick();
  limits.stall_ms = 2'000;
  EXPECT_EQ(get("/slow", limits).value(), body);
}

TEST_F(HttpGet, GivesUpOnATlsHandshakeThatNeverEnds) {
  server_.on("*", [](const Request&, Reply& reply) { reply.hang(); });
  HttpLimits limits = quick();
  limits.connect_ms = 300;
  const auto result = http_get("https://127.0.0.1:" + std::to_string(server_.port()) + "/", kLimit, limits, stop_);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), Code::unavailable);
}

TEST_F(HttpGet, NobodyThereIsUnavailable) {
  const auto result = http_get("http://127.0.0.1:" + std::to_string(closed_port()) + "/", kLimit, quick(), stop_);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), Code::unavailable);
}

TEST_F(HttpGet, RefusesMoreThanTheLimit) {
  server_.serve("/exact", std::string(1000, 'x'));
  server_.serve("/more", std::string(1001, 'x'));
  server_.on("/endless", [](const Request&, Reply& reply) {
    reply.head(200);
    while (reply.send(std::string(4096, 'x'))) {
    }
  });
  EXPECT_TRUE(get("/exact", quick(), 1000));
  for (const char* path : {"/more", "/endless"}) {
    const Error error = refused(path, quick(), 1000);
    EXPECT_EQ(error.code(), Code::invalid) << path;
    EXPECT_THAT(error.text(), HasSubstr("more than the 1.0 kB allowed")) << path;
  }
}

std::string gzipped(const std::string& plain) {
  const auto packer = adopt(g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 9));
  std::string packed(plain.size() + 1000, '\0');
  gsize read = 0;
  gsize written = 0;
  GErr error;
  EXPECT_EQ(g_converter_convert(G_CONVERTER(packer.get()), plain.data(), plain.size(), packed.data(), packed.size(),
                                G_CONVERTER_INPUT_AT_END, &read, &written, error),
            G_CONVERTER_FINISHED)
      << error.text();
  packed.resize(written);
  return packed;
}

TEST_F(HttpGet, UnpacksButNeverBeyondTheLimit) {
  answer("/gzip", 200, gzipped(std::string(5000, 'x')), {"Content-Encoding: gzip"});
  answer("/bomb", 200, gzipped(std::string(64 << 20, '\0')), {"Content-Encoding: gzip"});
  answer("/broken", 200, "no gzip at all, whatever it says", {"Content-Encoding: gzip"});
  EXPECT_EQ(get("/gzip").value(), std::string(5000, 'x'));
  EXPECT_THAT(refused("/bomb").text(), HasSubstr("more than"));
  EXPECT_EQ(refused("/broken").code(), Code::unavailable);
}

TEST_F(HttpGet, RefusesHeadersWithoutEnd) {
  server_.on("/headers", [](const Request&, Reply& reply) {
    reply.send("HTTP/1.1 200 Fine\r\n");
    while (reply.send("X-More: " + std::string(1000, 'x') + "\r\n")) {
    }
  });
  EXPECT_FALSE(get("/headers"));
}

TEST_F(HttpGet, AShortBodyIsNoContent) {
  server_.on("/short", [](const Request&, Reply& reply) {
    reply.head(200, {"Content-Length: 100"});
    reply.send("only this");
  });
  const Error error = refused("/short");
  EXPECT_EQ(error.code(), Code::unavailable);
  EXPECT_THAT(error.text(), HasSubstr("before everything was sent"));
}

TEST_F(HttpGet, WhatIsNoHttpIsNoContent) {
  server_.on("/x", [](const Request&, Reply& reply) { reply.send("\x01\x02 what is this\r\n\r\n"); });
  EXPECT_EQ(refused("/x").code(), Code::unavailable);
}

TEST_F(HttpGet, StopsWhenAsked) {
  server_.on("/silent", [](const Request&, Reply& reply) { reply.hang(); });
  HttpLimits limits = quick();
  limits.stall_ms = 600'000;
  std::thread asks([&] {
    while (server_.count("/silent") == 0) std::this_thread::yield();
    stop_.request();
  });
  EXPECT_EQ(refused("/silent", limits).code(), Code::cancelled);
  asks.join();
}

TEST_F(HttpGet, StopsBetweenAttempts) {
  answer("/503", 503, "", {"Retry-After: 3600"});
  HttpLimits limits = quick();
  limits.attempts = 2;
  std::thread asks([&] {
    while (server_.count("/503") == 0) std::this_thread::yield();
    stop_.request();
  });
  EXPECT_EQ(refused("/503", limits).code(), Code::cancelled);
  asks.join();
}

}  // namespace
}  // namespace hc
