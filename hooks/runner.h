#pragma once

#include <cstdint>

#include "engine/base/file.h"
#include "hooks/hook.h"

namespace hc {

// Runs hooks as real processes: see run_process() for what becomes of everything that they start. As root each has its
// own mount namespace, with its directory read-only in it; others run without.
class ProcessHookRunner final : public HookRunner {
 public:
  struct Options {
    fs::path socket_directory;  // where the sockets of hc-insight are made; empty: /run, else the temporary directory
    std::int64_t grace_ms = 2'000;  // between SIGTERM and SIGKILL
  };

  ProcessHookRunner() = default;
  explicit ProcessHookRunner(Options options) : options_(std::move(options)) {}

  HookResult run(const HookCall& call, const HookListener& listener, const StopToken& stop) override;

 private:
  Options options_;
};

}  // namespace hc
