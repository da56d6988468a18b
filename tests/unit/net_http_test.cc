#include <gmock/gmock.h>

#include "engine/net/http.h"
#include "engine/net/transfer.h"
#include "engine/net/url.h"

namespace hc {
namespace {

using testing::HasSubstr;

TEST(Url, CredentialsAreTakenOut) {
  EXPECT_EQ(without_credentials("https://user:secret@example.org:8443/a?b=c"), "https://example.org:8443/a?b=c");
  EXPECT_EQ(without_credentials("https://user:sec@ret@example.org/a@b"), "https://example.org/a@b");
  EXPECT_EQ(without_credentials("https://example.org/a@b"), "https://example.org/a@b");
  EXPECT_EQ(without_credentials("user:secret@example.org"), "example.org");
  EXPECT_EQ(without_credentials("no url at all"), "no url at all");
}

TEST(Url, IsTakenApart) {
  const Url url = Url::parse("https://us%20er:p%40ss@example.org:8443/a/b?c=d#e").value();
  EXPECT_EQ(url.text, "https://example.org:8443/a/b?c=d");
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.host, "example.org:8443");
  EXPECT_EQ(url.user, "us er");
  EXPECT_EQ(url.password, "p@ss");
  EXPECT_EQ(url.shown(), "https://example.org:8443/a/b?...");
}

TEST(Url, RefusesWhatIsNoneOfOurs) {
  for (const std::string& bad :
       {std::string("ftp://example.org/"), std::string("example.org"), std::string(""), std::string("javascript:x"),
        std::string("http://"), std::string("http://a b/"), std::string("http://example.org/\0x", 21)}) {
    const auto url = Url::parse(bad);
    ASSERT_FALSE(url) << bad;
    EXPECT_EQ(url.error().code(), Code::invalid);
  }
}

TEST(Url, FollowsARedirectAndKeepsCredentialsAtHome) {
  const Url start = Url::parse("https://user:secret@example.org/a/b").value();
  EXPECT_EQ(start.follow("c").value().text, "https://example.org/a/c");
  EXPECT_EQ(start.follow("/c").value().password, "secret");
  EXPECT_EQ(start.follow("https://evil:word@example.org/c").value().password, "secret");
  for (const char* away : {"https://other.example.org/", "https://example.org:444/", "//b.example.org/"}) {
    EXPECT_EQ(start.follow(away).value().user, "") << away;
    EXPECT_EQ(start.follow(away).value().password, "") << away;
  }
}

TEST(Url, FollowsNoRedirectDownwards) {
  const Url https = Url::parse("https://example.org/a").value();
  const Url http = Url::parse("http://example.org/a").value();
  EXPECT_TRUE(http.follow("https://example.org/"));
  EXPECT_TRUE(http.follow("http://other.example.org/"));
  for (const char* down : {"http://example.org/", "file:///etc/passwd", "ftp://example.org/"}) {
    const auto refused = https.follow(down);
    ASSERT_FALSE(refused) << down;
    EXPECT_EQ(refused.error().code(), Code::invalid);
  }
  EXPECT_THAT(https.follow("http://example.org/").error().text(), HasSubstr("from https to http"));
}

TEST(Html, IsKnownByItsStart) {
  EXPECT_TRUE(looks_like_html("<!DOCTYPE html>"));
  EXPECT_TRUE(looks_like_html("\xef\xbb\xbf\r\n <HTML lang=en>"));
  EXPECT_FALSE(looks_like_html("{\"html\": 1}"));
  EXPECT_FALSE(looks_like_html("<?xml version='1.0'?>"));
  EXPECT_FALSE(looks_like_html(""));
}

TEST(Pause, GrowsIsSpreadAndBounded) {
  HttpLimits limits;
  limits.pause_ms = 1000;
  EXPECT_EQ(pause_before(2, limits, 0, 1.0), 1000);
  EXPECT_EQ(pause_before(2, limits, 0, 0.0), 500);
  EXPECT_EQ(pause_before(3, limits, 0, 1.0), 2000);
  EXPECT_EQ(pause_before(4, limits, 0, 1.0), 4000);
  EXPECT_EQ(pause_before(1000, limits, 0, 1.0), 60'000);
}

TEST(Pause, HonoursTheServerWithinBounds) {
  HttpLimits limits;
  limits.pause_ms = 1000;
  EXPECT_EQ(pause_before(2, limits, 7000, 1.0), 7000);
  EXPECT_EQ(pause_before(2, limits, 100, 1.0), 1000);
  EXPECT_EQ(pause_before(2, limits, 3'600'000, 0.0), 60'000);
}

TEST(Attempts, EndAtTheLimitUnlessSomethingMoved) {
  HttpLimits limits;
  limits.attempts = 3;
  limits.pause_ms = 0;
  int asked = 0;
  const auto fails = [&] {
    ++asked;
    return Outcome{Error(Code::unavailable, "no"), true, 0, 0};
  };
  EXPECT_FALSE(with_attempts(limits, StopToken(), fails));
  EXPECT_EQ(asked, 3);
  asked = 0;
  EXPECT_FALSE(with_attempts(limits, StopToken(), fails, [&] { return asked <= 4; }));
  EXPECT_EQ(asked, 6);
}

TEST(File, IsReadPlainly) {
  const auto missing = http_get("file:///nonexistent/file", 100, {}, StopToken());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Code::invalid);
  EXPECT_THAT(missing.error().text(), HasSubstr("not found"));
}

}  // namespace
}  // namespace hc
