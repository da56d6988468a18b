#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "engine/base/text.h"
#include "hooks/runner.h"

namespace hc {

// Real hooks in a folder of their own.
class HookInFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "hc-hooks-XXXXXX").string();
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    directory_ = path;
    payload_ = directory_ / "payload";
    state_ = directory_ / "state";
    sockets_ = directory_ / "sockets";
    for (const fs::path& made : {payload_, state_, sockets_}) ASSERT_TRUE(make_dirs(made));
  }
  void TearDown() override {
    EXPECT_THAT(*list_dir(sockets_), ::testing::IsEmpty());
    EXPECT_TRUE(remove_tree(directory_));
  }

  HookCall hook(const std::string& script) {
    const fs::path program = payload_ / "hc_install_upgrade.sh";
    std::ofstream(program) << "#!/bin/sh\n" << script << "\n";
    EXPECT_EQ(chmod(program.c_str(), 0755), 0);
    HookCall call;
    call.program = program;
    call.directory = payload_;
    call.environment = {{"HC_STATE_DIR", state_.string()}, {"INSIGHT", HC_INSIGHT_PROGRAM}};
    call.timeout_ms = 60'000;
    call.retry_delay_ms = 5;
    return call;
  }
  HookResult run(const HookCall& call) {
    ProcessHookRunner runner({sockets_, 200});
    HookListener listener;
    listener.insight = [this](const Insight& insight) { insight_.push_back(insight); };
    listener.line = [this](std::string_view line) { lines_.emplace_back(line); };
    return runner.run(call, listener, stop_);
  }
  HookResult run(const std::string& script) { return run(hook(script)); }

  // Reaches its time limit after it has written the file `pid`, however slow the machine is.
  HookResult run_to_limit(HookCall call) {
    for (call.timeout_ms = 300;; call.timeout_ms *= 4) {
      HookResult result = run(call);
      if (!state("pid").empty()) return result;
    }
  }

  std::string state(const std::string& name) const {
    const auto text = read_file(state_ / name);
    return text ? std::string(trimmed(*text)) : "";
  }
  bool alive(const std::string& name) const {
    EXPECT_NE(state(name), "") << name;
    return kill(std::stoi(state(name)), 0) == 0;
  }

  fs::path directory_;
  fs::path payload_;
  fs::path state_;
  fs::path sockets_;
  StopToken stop_;
  std::vector<Insight> insight_;
  std::vector<std::string> lines_;
};

}  // namespace hc
