#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/result.h"
#include "hooks/hook.h"
#include "hooks/mask.h"

namespace hc {

// Where the messages of hc-insight arrive.
class InsightSocket {
 public:
  InsightSocket() = default;  // none: a hook then runs without insight
  // A socket that is `name` in the file system. Removing that is the caller's business.
  static Result<InsightSocket> open(const fs::path& name);

  int fd() const { return fd_.get(); }
  const fs::path& path() const { return path_; }

 private:
  UniqueFd fd_;
  fs::path path_;
};

// Checks what a hook says, tells it on live and keeps it, all bounded: a hook may say as much as it wants as fast as it
// can. Beyond the rate, logs are dropped and counted, and the rest is kept but not told live.
class InsightBox {
 public:
  static constexpr std::size_t kKept = 200;         // the last progress and log events
  static constexpr std::size_t kNames = 200;        // metrics and states, each with its last value
  static constexpr std::uint64_t kPerSecond = 100;  // told live

  InsightBox(const SecretMask& mask, InsightFn listener);

  // Takes what has arrived at `socket`, without waiting.
  void receive(const InsightSocket& socket);
  void note(std::string_view text);  // something the runner has to say: a log at the level warn
  std::vector<Insight> take();       // in the order it came

 private:
  void accept(std::string_view bytes);
  bool may_tell();
  void keep(Insight insight);
  std::int64_t age_ms() const;

  const SecretMask& mask_;
  InsightFn listener_;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::int64_t second_ = -1;
  std::uint64_t told_ = 0;  // of this second
  std::uint64_t dropped_ = 0;
  std::vector<Insight> kept_;
};

}  // namespace hc
