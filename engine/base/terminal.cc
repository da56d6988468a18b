#include "engine/base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "engine/base/json.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::int64_t kRedrawMs = 100;
constexpr std::int64_t kLineMs = 5000;
constexpr std::uint64_t kTenths = 10;

bool is_terminal(std::FILE* out) {
  const char* term = std::getenv("TERM");
  return ::isatty(::fileno(out)) != 0 && term != nullptr && std::string_view(term) != "dumb";
}

unsigned width_of(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::string sentence(const std::string& text) {
  std::string safe = printable(text);
  if (!safe.empty() && std::string_view(".!?\n").find(safe.back()) == std::string_view::npos) safe += '.';
  return safe;
}

std::string amount(std::uint64_t count, bool bytes) { return bytes ? human_bytes(count) : std::to_string(count); }

// More than the total can be reported where the total was an estimate.
std::uint64_t percent(const Progress& progress) {
  if (progress.total == 0) return 0;
  const double share = static_cast<double>(progress.done) / static_cast<double>(progress.total);
  return static_cast<std::uint64_t>(std::clamp(share, 0.0, 1.0) * 100);
}

std::string figures(const Progress& progress, double rate) {
  std::string text = amount(progress.done, progress.bytes);
  if (progress.total != 0) text += " of " + amount(progress.total, progress.bytes);
  if (rate >= 1) text += "  " + amount(static_cast<std::uint64_t>(rate), progress.bytes) + "/s";
  return text;
}

}  // namespace

int exit_status(Code code) {
  switch (code) {
    case Code::internal:
      return 1;
    case Code::invalid:
      return 3;
    case Code::untrusted:
      return 4;
    case Code::unavailable:
      return 5;
    case Code::no_space:
      return 6;
    case Code::busy:
      return 7;
    case Code::io:
      return 8;
    case Code::hook_failed:
      return 9;
    case Code::unhealthy:
      return 10;
    case Code::cancelled:
      return 130;
  }
  return 1;
}

std::string error_text(const Error& error) {
  std::string text = "error: " + sentence(error.text()) + "\n";
  if (!error.hint().empty()) text += "hint: " + sentence(error.hint()) + "\n";
  return text;
}

std::string error_json(const Error& error) {
  Json body = {{"code", std::string(name(error.code()))},
               {"exit_status", exit_status(error.code())},
               {"text", printable(error.text())}};
  if (!error.hint().empty()) body["hint"] = printable(error.hint());
  return dump_json(Json{{"error", std::move(body)}});
}

void print_error(const Error& error, bool json) {
  std::fputs(json ? error_json(error).c_str() : error_text(error).c_str(), json ? stdout : stderr);
}

std::string progress_line(const Progress& progress, double rate, unsigned width) {
  std::string line = printable(progress.what) + " ";
  const std::string numbers = figures(progress, rate);
  if (progress.total == 0) {
    line += " " + numbers;
  } else {
    const std::string share = std::to_string(percent(progress));
    const std::string tail = std::string(4 - share.size(), ' ') + share + " %  " + numbers;
    const std::size_t taken = line.size() + tail.size() + 2;
    const std::size_t cells = width > taken ? std::min<std::size_t>(width - taken, 30) : 0;
    if (cells >= 5) {
      const std::size_t full = cells * percent(progress) / 100;
      line += "[" + std::string(full, '#') + std::string(cells - full, '.') + "]";
    }
    line += tail;
  }
  return line.substr(0, width);
}

const Clock& ProgressBar::system_clock() {
  static const SystemClock clock;
  return clock;
}

ProgressBar::ProgressBar(bool quiet, std::FILE* out, const Clock& clock)
    : out_(out), clock_(clock), quiet_(quiet), terminal_(is_terminal(out)) {}

ProgressBar::~ProgressBar() { finish(); }

ProgressFn ProgressBar::fn() {
  return [this](const Progress& progress) { report(progress); };
}

void ProgressBar::finish() {
  if (line_open_) std::fputs("\n", out_);
  line_open_ = false;
  what_.clear();
}

void ProgressBar::report(const Progress& progress) {
  if (quiet_) return;
  const std::int64_t now = clock_.monotonic_ms();
  const bool begins = progress.what != what_;
  if (begins) {
    finish();
    what_ = progress.what;
    started_ms_ = now;
    first_ = progress.done;
    shown_tenth_ = 0;
  }
  const bool complete = progress.total != 0 && progress.done >= progress.total;
  if (terminal_) {
    if (begins || complete || now - shown_ms_ >= kRedrawMs) draw(progress);
    return;
  }
  const std::uint64_t tenth = percent(progress) * kTenths / 100;
  if (!begins && tenth <= shown_tenth_ && now - shown_ms_ < kLineMs) return;
  shown_tenth_ = tenth;
  print_line(progress);
}

void ProgressBar::draw(const Progress& progress) {
  shown_ms_ = clock_.monotonic_ms();
  const auto ms = static_cast<double>(shown_ms_ - started_ms_);
  const bool known = ms >= 500 && progress.done > first_;
  const double rate = known ? static_cast<double>(progress.done - first_) * 1000 / ms : 0;
  // The last column stays free: writing there would wrap the line on some terminals.
  std::fprintf(out_, "\r%s\033[K", progress_line(progress, rate, width_of(out_) - 1).c_str());
  std::fflush(out_);
  line_open_ = true;
}

void ProgressBar::print_line(const Progress& progress) {
  shown_ms_ = clock_.monotonic_ms();
  std::string line = printable(progress.what);
  if (progress.total != 0) line += ": " + std::to_string(percent(progress)) + " %, " + figures(progress, 0);
  if (progress.total == 0 && progress.done != 0) line += ": " + figures(progress, 0);
  std::fprintf(out_, "%s\n", line.c_str());
  std::fflush(out_);
}

}  // namespace hc
