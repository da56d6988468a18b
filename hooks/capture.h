#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/hook.h"
#include "hooks/mask.h"

namespace hc {

// Cuts a stream into lines for people who watch, made safe to show. A stream that is faster than anybody can read is
// shown in part: at most about 64 KiB a second, with a note of what was left out.
class LiveLines {
 public:
  explicit LiveLines(OutputFn line) : line_(std::move(line)) {}

  void feed(std::string_view bytes);
  void end();

 private:
  bool may_show(std::size_t size);
  void take(std::string_view part, bool ends);
  void show(std::string_view line) const;

  OutputFn line_;
  std::string partial_;
  bool skipping_ = false;  // to the end of the line: its beginning was not shown, or was too long
  std::uint64_t hidden_ = 0;
  std::uint64_t shown_ = 0;  // of this second
  std::int64_t second_ = -1;
};

// Keeps the head and the tail of what a hook prints in bounded memory, and shows its lines live.
class OutputCapture {
 public:
  static constexpr std::size_t kHead = 64 << 10;
  static constexpr std::size_t kTail = 64 << 10;

  OutputCapture(const SecretMask& mask, OutputFn line);

  void feed(std::string_view bytes);
  // The hook ended: what was held back (half a line, half a secret) is taken as it is.
  void end();

  struct Kept {
    std::string text;  // as HookResult::output
    std::uint64_t dropped_bytes = 0;
  };
  Kept kept() const;

 private:
  void unmasked(std::string_view bytes);
  void store(std::string_view bytes);

  SecretMask mask_;
  LiveLines live_;
  bool after_return_ = false;  // the last byte was \r, and already stands for the end of a line
  std::string head_;
  std::string tail_;
  std::uint64_t total_ = 0;
};

}  // namespace hc
