#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "engine/base/clock.h"
#include "engine/base/progress.h"
#include "engine/base/result.h"

// What all programs share in talking to people: errors, exit statuses and progress.
namespace hc {

// The exit status of a program that failed with `code`. Stable for ever:
//   0 ok, 1 internal, 2 usage (CLI11's own checks), 3 invalid, 4 untrusted, 5 unavailable, 6 no_space, 7 busy, 8 io,
//   9 hook_failed, 10 unhealthy, 130 cancelled.
inline constexpr int kExitUsage = 2;
int exit_status(Code code);

// The failure as a program says it: "error: TEXT." and "hint: TEXT." on lines of their own. Never holds control
// characters that came from outside.
std::string error_text(const Error& error);
// The same for programs: {"error": {"code": ..., "exit_status": ..., "text": ..., "hint": ...}} and a newline.
std::string error_json(const Error& error);

// Prints error_text() to standard error, or with `json` error_json() to standard output, so that a caller who asked for
// JSON always gets exactly one document there.
void print_error(const Error& error, bool json);

// Shows progress while a verb works. On a terminal: one line that is redrawn, with a bar, the percentage, the amount
// and the speed. Elsewhere: plain lines, one for each 10 percent or 5 seconds. Quiet: nothing.
//
//   ProgressBar bar(json || quiet);
//   repository.pull(url, payload, limits, bar.fn(), stop);
class ProgressBar {
 public:
  explicit ProgressBar(bool quiet, std::FILE* out = stderr, const Clock& clock = system_clock());
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Refers to this bar. REQUIRES: the bar outlives it.
  ProgressFn fn();

  // Ends the line under way, so that other text may be printed. Also done by the destructor.
  void finish();

 private:
  static const Clock& system_clock();
  void report(const Progress& progress);
  void draw(const Progress& progress);
  void print_line(const Progress& progress);

  std::FILE* out_;
  const Clock& clock_;
  bool quiet_;
  bool terminal_;
  bool line_open_ = false;
  std::string what_;             // the phase under way
  std::int64_t started_ms_ = 0;  // when it began
  std::uint64_t first_ = 0;      // what was done already when it began
  std::int64_t shown_ms_ = 0;
  std::uint64_t shown_tenth_ = 0;
};

// "fetching [#####.....]  45 %  12.3 MB of 27.0 MB  4.1 MB/s" in at most `width` columns; `rate` per second, 0 where
// it is not known yet.
std::string progress_line(const Progress& progress, double rate, unsigned width);

}  // namespace hc
