#include <gmock/gmock.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "engine/net/http.h"
#include "tests/support/http_server.h"

// http_download against a server that drops, lies and changes its file half-way.
namespace hc {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::Eq;
using testing::HasSubstr;

using Request = HttpServer::Request;
using Reply = HttpServer::Reply;

std::string content(char salt, std::size_t size = 300'000) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>((i * 131 + i / 251) ^ static_cast<unsigned char>(salt));
  return text;
}

class Download : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hc-net-XXXXXX").string();
    ASSERT_TRUE(::mkdtemp(name.data()));
    dir_ = name;
    limits_.connect_ms = 2'000;
    limits_.stall_ms = 2'000;
    limits_.attempts = 1;
    limits_.pause_ms = 1;
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(dir_)); }

  Status download(std::optional<std::uint64_t> size = std::nullopt) {
    return http_download(server_.url("/file"), path(), size, limits_, {}, stop_);
  }
  fs::path path() const { return dir_ / "file"; }
  std::string part() const { return read_file_if_exists(dir_ / "file.part").value().value_or(""); }
  std::string file() const { return read_file_if_exists(path()).value().value_or(""); }
  void expect_only_the_file() { EXPECT_EQ(list_dir(dir_).value(), std::vector<std::string>{"file"}); }
  std::string range(std::size_t request) const { return server_.requests().at(request).header("range"); }

  // Sends the first half of `body` and drops the connection.
  void serve_half(const std::string& body, std::vector<std::string> headers) {
    headers.push_back("Content-Length: " + std::to_string(body.size()));
    server_.on("/file", [=](const Request&, Reply& reply) {
      reply.head(200, headers);
      reply.send(body.substr(0, body.size() / 2));
    });
  }
  void get_half(const std::string& body, std::vector<std::string> headers) {
    serve_half(body, std::move(headers));
    const Status cut = download();
    ASSERT_FALSE(cut);
    EXPECT_EQ(cut.error().code(), Code::unavailable);
    ASSERT_EQ(file(), "");
    ASSERT_EQ(part(), body.substr(0, body.size() / 2));
  }

  HttpServer server_;
  StopToken stop_;
  HttpLimits limits_;
  fs::path dir_;
};

TEST_F(Download, BringsTheWholeFile) {
  server_.serve("/file", content('a'), "\"1\"");
  std::uint64_t done = 0;
  const auto progress = [&](const Progress& p) {
    EXPECT_TRUE(p.bytes);
    EXPECT_EQ(p.total, 300'000U);
    EXPECT_GE(p.done, done);
    done = p.done;
  };
  ASSERT_TRUE(http_download(server_.url("/file"), path(), 300'000, limits_, progress, stop_));
  EXPECT_EQ(done, 300'000U);
  EXPECT_EQ(file(), content('a'));
  expect_only_the_file();
}

TEST_F(Download, GoesOnWhereItWasCut) {
  get_half(content('a'), {"ETag: \"1\""});
  server_.serve("/file", content('a'), "\"1\"");
  ASSERT_TRUE(download());
  EXPECT_EQ(file(), content('a'));
  EXPECT_EQ(range(1), "bytes=150000-");
  EXPECT_EQ(server_.requests().at(1).header("if-range"), "\"1\"");
  expect_only_the_file();
}

TEST_F(Download, GoesOnByDateWhereThereIsNoEtag) {
  const std::string old = "Last-Modified: Mon, 02 Nov 2026 10:00:00 GMT";
  const std::string now = "Date: Mon, 02 Nov 2026 12:00:00 GMT";
  get_half(content('a'), {old, now});
  server_.serve("/file", content('a'), "Mon, 02 Nov 2026 10:00:00 GMT");
  ASSERT_TRUE(download());
  EXPECT_EQ(file(), content('a'));
  EXPECT_EQ(range(1), "bytes=150000-");
}

TEST_F(Download, BeginsAgainWhereTheServerCannotVouchForTheFile) {
  const std::string date = "Date: Mon, 02 Nov 2026 12:00:00 GMT";
  for (const std::vector<std::string>& headers :
       {std::vector<std::string>{},
        {"ETag: W/\"1\""},
        {"Last-Modified: Mon, 02 Nov 2026 11:59:59 GMT", date},
        {"ETag: W/\"1\"", "Last-Modified: Mon, 02 Nov 2026 10:00:00 GMT", date}}) {
    get_half(content('a'), headers);
    server_.serve("/file", content('b'));
    ASSERT_TRUE(download());
    EXPECT_EQ(file(), content('b'));
    EXPECT_EQ(server_.requests().back().header("range"), "");
    fs::remove(path());
  }
}

struct Changed {
  const char* what;
  std::size_t size;
};

class ChangedFile : public Download, public testing::WithParamInterface<Changed> {};

TEST_P(ChangedFile, IsNeverJoinedToTheOldOne) {
  get_half(content('a'), {"ETag: \"1\""});
  const std::string other = content('b', GetParam().size);
  server_.serve("/file", other, "\"2\"");
  ASSERT_TRUE(download(other.size()));
  EXPECT_EQ(file(), other);
  expect_only_the_file();
}

// The server ignores If-Range, so that only what it says about its answer can tell.
TEST_P(ChangedFile, IsNeverJoinedEvenByACarelessServer) {
  get_half(content('a'), {"ETag: \"1\""});
  const std::string other = content('b', GetParam().size);
  server_.on("/file", [=](const Request& request, Reply& reply) {
    const std::size_t start = request.header("range").empty() ? 0 : 150'000;
    if (start >= other.size()) {
      reply.answer(416, "", {"Content-Range: bytes */" + std::to_string(other.size())});
      return;
    }
    const std::string range = "Content-Range: bytes " + std::to_string(start) + "-" + std::to_string(other.size() - 1) +
                              "/" + std::to_string(other.size());
    reply.answer(start == 0 ? 200 : 206, other.substr(start), {"ETag: \"2\"", range});
  });
  ASSERT_TRUE(download(other.size()));
  EXPECT_EQ(file(), other);
}

INSTANTIATE_TEST_SUITE_P(Net, ChangedFile,
                         testing::Values(Changed{"same", 300'000}, Changed{"smaller", 100'000},
                                         Changed{"larger", 500'000}),
                         [](const auto& test) { return test.param.what; });

TEST_F(Download, AWrongContentRangeBeginsAgainOnce) {
  get_half(content('a'), {"ETag: \"1\""});
  server_.on("/file", [](const Request& request, Reply& reply) {
    if (request.header("range").empty()) {
      reply.answer(200, content('a'), {"ETag: \"1\""});
    } else {
      reply.answer(206, content('a').substr(100), {"ETag: \"1\"", "Content-Range: bytes 100-299999/300000"});
    }
  });
  ASSERT_TRUE(download());
  EXPECT_EQ(file(), content('a'));
  EXPECT_EQ(server_.count("/file"), 3U);
}

TEST_F(Download, UnaskedPartsAreRefused) {
  server_.on("/file", [](const Request&, Reply& reply) {
    reply.answer(206, "half", {"ETag: \"1\"", "Content-Range: bytes 4-7/8"});
  });
  EXPECT_FALSE(download());
  EXPECT_EQ(server_.count("/file"), 2U);
  EXPECT_EQ(file(), "");
}

TEST_F(Download, A416BeginsAgainOnce) {
  get_half(content('a'), {"ETag: \"1\""});
  server_.on("/file", [](const Request&, Reply& reply) { reply.answer(416, ""); });
  EXPECT_FALSE(download());
  EXPECT_EQ(server_.count("/file"), 3U);
  server_.serve("/file", content('a'), "\"1\"");
  ASSERT_TRUE(download());
  EXPECT_EQ(file(), content('a'));
}

TEST_F(Download, ACompletePartNeedsNoServer) {
  server_.on("/file", [](const Request&, Reply& reply) {
    reply.head(200, {"ETag: \"1\"", "Content-Length: 300000"});
    reply.send(content('a'));
    reply.hang();
  });
  // Everything has arrived and is then lost sight of: the rename fails.
  ASSERT_TRUE(make_dirs(path()));
  ASSERT_TRUE(write_atomically(path() / "x", "x"));
  ASSERT_FALSE(download(300'000));
  ASSERT_TRUE(remove_tree(path()));
  ASSERT_TRUE(download(300'000));
  EXPECT_EQ(server_.count("/file"), 1U);
  EXPECT_EQ(file(), content('a'));
}

TEST_F(Download, AttemptsCountAnewWhileItMoves) {
  server_.on("/file", [](const Request& request, Reply& reply) {
    const std::string range = request.header("range");
    const std::size_t start = range.empty() ? 0 : std::strtoul(range.c_str() + 6, nullptr, 10);
    const std::string body = content('a').substr(start);
    reply.head(start == 0 ? 200 : 206, {"ETag: \"1\"", "Content-Length: " + std::to_string(body.size()),
                                        "Content-Range: bytes " + std::to_string(start) + "-299999/300000"});
    reply.send(body.substr(0, 40'000));
  });
  limits_.attempts = 2;
  ASSERT_TRUE(download());
  EXPECT_EQ(file(), content('a'));
  EXPECT_EQ(server_.count("/file"), 8U);
}

TEST_F(Download, AttemptsEndWhenItNeverGetsFurther) {
  serve_half(content('a'), {});
  limits_.attempts = 3;
  EXPECT_FALSE(download());
  EXPECT_EQ(server_.count("/file"), 3U);
}

TEST_F(Download, TheSizeIsHeldTo) {
  server_.serve("/file", content('a'), "\"1\"");
  const Status wrong = download(300'001);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), Code::invalid);
  EXPECT_THAT(wrong.error().text(), AllOf(HasSubstr("300000"), HasSubstr("300001")));
  server_.on("/file", [](const Request&, Reply& reply) {
    reply.head(200);
    reply.send(content('a'));
  });
  EXPECT_EQ(download(299'999).error().code(), Code::invalid);
  EXPECT_EQ(download(300'001).error().code(), Code::unavailable);
  EXPECT_EQ(file(), "");
  EXPECT_TRUE(download(300'000));
}

TEST_F(Download, APageIsNoFileAndCostsNoPart) {
  get_half(content('a'), {"ETag: \"1\""});
  server_.on("/file",
             [](const Request&, Reply& reply) { reply.answer(200, "<html>log in", {"Content-Type: text/html"}); });
  const Status page = download();
  ASSERT_FALSE(page);
  EXPECT_THAT(page.error().text(), HasSubstr("HTML from"));
  EXPECT_EQ(part(), content('a').substr(0, 150'000));
  server_.serve("/file", content('a'), "\"1\"");
  ASSERT_TRUE(download());
  EXPECT_EQ(range(2), "bytes=150000-");
  EXPECT_EQ(file(), content('a'));
}

TEST_F(Download, AnotherAddressOrAnUnknownOriginIsNoResume) {
  get_half(content('a'), {"ETag: \"1\""});
  server_.serve("/other", content('b'), "\"1\"");
  ASSERT_TRUE(http_download(server_.url("/other"), path(), std::nullopt, limits_, {}, stop_));
  EXPECT_EQ(file(), content('b'));
  fs::remove(path());
  for (const char* info : {"", "honeycomb download 1\n", "garbage\n\n\n\n\n"}) {
    ASSERT_TRUE(write_atomically(dir_ / "file.part", "leftover"));
    ASSERT_TRUE(write_atomically(dir_ / "file.part-info", info));
    server_.serve("/file", content('a'), "\"1\"");
    ASSERT_TRUE(download());
    EXPECT_EQ(server_.requests().back().header("range"), "");
    EXPECT_EQ(file(), content('a'));
  }
}

// After a power cut only what had been synced is believed.
TEST_F(Download, AfterAnotherBootOnlyWhatWasSyncedCounts) {
  const std::string big = content('a', 12 << 20);
  get_half(big, {"ETag: \"1\""});
  std::string info = read_file(dir_ / "file.part-info").value();
  const std::size_t start = info.find("\"1\"\n") + 4;
  info.replace(start, info.size() - start, "another-boot\n");
  ASSERT_TRUE(write_atomically(dir_ / "file.part-info", info));
  server_.serve("/file", big, "\"1\"");
  ASSERT_TRUE(download());
  EXPECT_EQ(range(1), "bytes=4194304-");
  EXPECT_EQ(file(), big);
}

TEST_F(Download, ANewPermitInTheQueryStillResumes) {
  serve_half(content('a'), {"ETag: \"1\""});
  EXPECT_FALSE(http_download(server_.url("/file?permit=1"), path(), std::nullopt, limits_, {}, stop_));
  server_.serve("/file", content('a'), "\"1\"");
  ASSERT_TRUE(http_download(server_.url("/file?permit=2"), path(), std::nullopt, limits_, {}, stop_));
  EXPECT_EQ(range(1), "bytes=150000-");
  EXPECT_EQ(read_file(path()).value(), content('a'));
}

TEST_F(Download, RefusesFilesThatWereChangedOnTheWay) {
  server_.on("/file", [](const Request&, Reply& reply) { reply.answer(200, "x", {"Content-Encoding: gzip"}); });
  EXPECT_EQ(download().error().code(), Code::invalid);
}

TEST_F(Download, WhatCannotFitIsNotBegun) {
  server_.on("/file", [](const Request&, Reply& reply) {
    reply.head(200, {"Content-Length: 1000000000000000000"});
    reply.send("x");
    reply.hang();
  });
  EXPECT_EQ(download().error().code(), Code::no_space);
}

TEST_F(Download, AWriteErrorEndsItAndTheNextRunGoesOn) {
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{100'000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  server_.serve("/file", content('a'), "\"1\"");
  limits_.attempts = 3;
  const Status full = download();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), Code::io);
  EXPECT_EQ(server_.count("/file"), 1U);
  ASSERT_TRUE(download());
  EXPECT_EQ(range(1), "bytes=100000-");
  EXPECT_EQ(file(), content('a'));
}

TEST_F(Download, StopsWhenAskedAndKeepsWhatItHas) {
  server_.on("/file", [](const Request&, Reply& reply) {
    reply.head(200, {"ETag: \"1\"", "Content-Length: 300000"});
    reply.send(content('a').substr(0, 1000));
    reply.hang();
  });
  const auto stop_at_first = [this](const Progress&) { stop_.request(); };
  const Status stopped = http_download(server_.url("/file"), path(), std::nullopt, limits_, stop_at_first, stop_);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), Code::cancelled);
  EXPECT_THAT(part().size(), AnyOf(Eq(1000U), testing::Gt(0U)));
  server_.serve("/file", content('a'), "\"1\"");
  ASSERT_TRUE(http_download(server_.url("/file"), path(), std::nullopt, limits_, {}, StopToken()));
  EXPECT_EQ(file(), content('a'));
}

TEST_F(Download, CopiesLocalFiles) {
  ASSERT_TRUE(write_atomically(dir_ / "a file", content('a')));
  const std::string url = "file://" + dir_.string() + "/a%20file";
  EXPECT_EQ(http_download(url, path(), 7, limits_, {}, stop_).error().code(), Code::invalid);
  ASSERT_TRUE(http_download(url, path(), 300'000, limits_, {}, stop_));
  EXPECT_EQ(file(), content('a'));
  EXPECT_EQ(http_get(url, 1 << 20, limits_, stop_).value(), content('a'));
  EXPECT_EQ(http_get(url, 1000, limits_, stop_).error().code(), Code::invalid);
  EXPECT_THAT(http_download("file:///nonexistent", path(), {}, limits_, {}, stop_).error().text(),
              HasSubstr("not found"));
}

// A lower bound, which a slow machine cannot break: at this rate the file takes three seconds.
TEST_F(Download, ALimitHolds) {
  const std::string body = content('a', 3'000'000);
  limits_.bytes_per_s = 1'000'000;
  server_.serve("/file", body);
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(download());
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  EXPECT_EQ(file(), body);
}

}  // namespace
}  // namespace hc
