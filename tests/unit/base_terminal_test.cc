#include <gmock/gmock.h>
#include <pty.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/terminal.h"

namespace hc {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class HandClock final : public Clock {
 public:
  std::int64_t wall_seconds() const override { return 0; }
  std::int64_t monotonic_ms() const override { return now_; }
  void sleep_ms(std::int64_t ms) override { now_ += ms; }

 private:
  std::int64_t now_ = 1000;
};

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using Stream = std::unique_ptr<std::FILE, Closer>;

std::string content(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  return text;
}

Progress fetched(std::uint64_t done, std::uint64_t total) { return {"fetching", done, total, true}; }

TEST(ExitStatus, IsStable) {
  EXPECT_EQ(exit_status(Code::internal), 1);
  EXPECT_EQ(exit_status(Code::invalid), 3);
  EXPECT_EQ(exit_status(Code::untrusted), 4);
  EXPECT_EQ(exit_status(Code::unavailable), 5);
  EXPECT_EQ(exit_status(Code::no_space), 6);
  EXPECT_EQ(exit_status(Code::busy), 7);
  EXPECT_EQ(exit_status(Code::io), 8);
  EXPECT_EQ(exit_status(Code::hook_failed), 9);
  EXPECT_EQ(exit_status(Code::unhealthy), 10);
  EXPECT_EQ(exit_status(Code::cancelled), 130);
}

TEST(ErrorText, SaysWhatAndWhatNext) {
  const Error error = Error(Code::busy, "job 7 runs").with_hint("wait for it");
  EXPECT_EQ(error_text(error), "error: job 7 runs.\nhint: wait for it.\n");
  EXPECT_EQ(error_text(Error(Code::io, "gone.")), "error: gone.\n");
}

TEST(ErrorText, CannotSendEscapesToATerminal) {
  EXPECT_THAT(error_text(Error(Code::io, "name \x1b[2J")), Not(HasSubstr("\x1b")));
}

TEST(ErrorText, IsOneJsonDocument) {
  const auto json = parse_json(error_json(Error(Code::untrusted, "bad \xff").with_hint("ask")));
  ASSERT_TRUE(json) << json.error().text();
  EXPECT_EQ((*json)["error"]["code"], "untrusted");
  EXPECT_EQ((*json)["error"]["exit_status"], 4);
  EXPECT_EQ((*json)["error"]["text"], "bad \\xff");
  EXPECT_EQ((*json)["error"]["hint"], "ask");
}

TEST(ProgressLine, ShowsBarShareAmountAndSpeed) {
  EXPECT_EQ(progress_line(fetched(5'000'000, 10'000'000), 2e6, 70),
            "fetching [############............]  50 %  5.0 MB of 10.0 MB  2.0 MB/s");
  EXPECT_EQ(progress_line({"writing", 3, 0, false}, 0, 80), "writing  3");
}

TEST(ProgressLine, NeverExceedsTheWidth) {
  for (unsigned width = 1; width < 100; ++width)
    EXPECT_LE(progress_line(fetched(99'999'999, 100'000'000), 1e6, width).size(), width);
}

TEST(ProgressLine, MoreThanTheTotalIsOneHundredPercent) {
  EXPECT_THAT(progress_line(fetched(200, 100), 0, 80), HasSubstr("100 %"));
}

TEST(ProgressBarElsewhere, PrintsALineForEachTenthOnly) {
  const Stream file(std::tmpfile());
  const HandClock clock;
  ProgressBar bar(false, file.get(), clock);
  for (std::uint64_t done = 0; done <= 1000; ++done) bar.fn()(fetched(done, 1000));
  const std::string text = content(file.get());
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);
  EXPECT_THAT(text, HasSubstr("fetching: 50 %, 500 B of 1.0 kB\n"));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
}

TEST(ProgressBarElsewhere, ShowsLifeEveryFiveSeconds) {
  const Stream file(std::tmpfile());
  HandClock clock;
  ProgressBar bar(false, file.get(), clock);
  for (int second = 0; second < 12; ++second) {
    bar.fn()(fetched(1, 0));
    clock.sleep_ms(1000);
  }
  const std::string text = content(file.get());
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
}

TEST(ProgressBarElsewhere, QuietSaysNothing) {
  const Stream file(std::tmpfile());
  ProgressBar bar(true, file.get());
  bar.fn()(fetched(1, 2));
  bar.finish();
  EXPECT_EQ(content(file.get()), "");
}

TEST(ProgressBarOnATerminal, RedrawsOneLineAndEndsIt) {
  int main_fd = -1;
  int side_fd = -1;
  ASSERT_EQ(::openpty(&main_fd, &side_fd, nullptr, nullptr, nullptr), 0);
  const UniqueFd reader(main_fd);
  ::setenv("TERM", "xterm", 1);
  {
    const Stream file(::fdopen(side_fd, "w"));
    const HandClock clock;
    ProgressBar bar(false, file.get(), clock);
    bar.fn()(fetched(1, 10));
    bar.fn()(fetched(2, 10));  // too soon after the first one
    bar.fn()(fetched(10, 10));
    bar.finish();
    std::fflush(file.get());
    std::string text;
    std::array<char, 4096> buffer{};
    while (text.find('\n') == std::string::npos) {
      const ssize_t size = ::read(reader.get(), buffer.data(), buffer.size());
      ASSERT_GT(size, 0);
      text.append(buffer.data(), static_cast<std::size_t>(size));
    }
    EXPECT_THAT(text, HasSubstr("\rfetching [###"));
    EXPECT_THAT(text, Not(HasSubstr(" 20 %")));
    EXPECT_THAT(text, HasSubstr("100 %"));
    EXPECT_THAT(text, EndsWith("\n"));
  }
}

}  // namespace
}  // namespace hc
