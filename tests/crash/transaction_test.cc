#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "tests/crash/sim_node.h"

namespace hc::sim {
namespace {

constexpr FaultKind kKinds[] = {FaultKind::cut_before, FaultKind::cut_after, FaultKind::error_before,
                                FaultKind::error_after};

const char* name(FaultKind kind) {
  switch (kind) {
    case FaultKind::cut_before:
      return "power cut before";
    case FaultKind::cut_after:
      return "power cut after";
    case FaultKind::error_before:
      return "I/O error instead of";
    case FaultKind::error_after:
      return "I/O error although done:";
  }
  return "";
}

struct Case {
  std::string title;
  World world;
  Outcome without_faults;
};

// How GoogleTest names a case in its output.
void PrintTo(const Case& one, std::ostream* out) { *out << one.title; }

Target camera() { return *Target::parse("ptz-camera"); }

std::vector<Case> cases() {
  using enum Outcome;
  const auto rollback = TransactionKind::rollback;
  const auto deploy = TransactionKind::deploy;
  return {
      {"os deploy", {Target::os(), deploy}, confirmed},
      {"os deploy, kernel hangs", {.target = Target::os(), .boots = false}, rolled_back},
      {"os deploy, unhealthy", {.target = Target::os(), .healthy = false}, rolled_back},
      {"os deploy, install hook fails", {.target = Target::os(), .install_passes = false}, failed},
      {"os deploy, verify hook fails", {.target = Target::os(), .verify_passes = false}, failed},
      {"os deploy, one try only", {.target = Target::os(), .tries = 1}, confirmed},
      {"os deploy, not needed", {.target = Target::os(), .needed = false}, not_needed},
      {"os with two peripherals",
       {.target = Target::os(), .carried = {{.name = "camera"}, {.name = "switch"}}},
       confirmed},
      {"os with peripherals, kernel hangs",
       {.target = Target::os(), .boots = false, .carried = {{.name = "camera"}, {.name = "switch"}}},
       rolled_back},
      {"os with peripherals, unhealthy",
       {.target = Target::os(), .healthy = false, .carried = {{.name = "camera"}, {.name = "switch"}}},
       rolled_back},
      {"os with peripherals, the second fails",
       {.target = Target::os(), .carried = {{.name = "camera"}, {.name = "switch", .install_passes = false}}},
       failed},
      {"os with peripherals, one forgets",
       {.target = Target::os(), .carried = {{.name = "camera", .forgets = true}, {.name = "switch"}}},
       rolled_back},
      {"os with peripherals, one is not needed",
       {.target = Target::os(), .carried = {{.name = "camera", .needed = false}, {.name = "switch"}}},
       confirmed},
      {"os rollback", {.target = Target::os(), .kind = rollback}, confirmed},
      {"os rollback, other slot hangs", {.target = Target::os(), .kind = rollback, .boots = false}, rolled_back},
      {"os rollback, other slot unhealthy", {.target = Target::os(), .kind = rollback, .healthy = false}, rolled_back},
      {"camera deploy", {.target = camera()}, confirmed},
      {"camera deploy, install hook fails", {.target = camera(), .install_passes = false}, failed},
      {"camera deploy, verify hook fails", {.target = camera(), .verify_passes = false}, failed},
      {"camera deploy, not needed", {.target = camera(), .needed = false}, not_needed},
      {"camera rollback", {.target = camera(), .kind = rollback}, confirmed},
      {"camera rollback, verify hook fails", {.target = camera(), .kind = rollback, .verify_passes = false}, failed},
  };
}

class TransactionCrash : public testing::TestWithParam<Case> {};

TEST_P(TransactionCrash, EndsAsPlannedWithoutFaults) {
  SimNode node(GetParam().world);
  ASSERT_TRUE(node.live({})) << "no end within 40 starts";
  EXPECT_EQ(node.violation(), "") << node.picture();
  ASSERT_TRUE(node.outcome());
  EXPECT_EQ(*node.outcome(), GetParam().without_faults);
}

// A power cut costs time, never a version: where the tries allow one more boot, the end is the same as without it. Only
// an install hook that was cut off is taken back instead of going on.
bool same_end(const SimNode& node, const Case& one, std::size_t at) {
  if (!node.outcome()) return at == 1;  // before the journal
  if (*node.outcome() == one.without_faults) return true;
  // A device that forgets may do so before the switch already.
  const auto forgets = [](const Device& device) { return device.forgets; };
  const bool forgot = std::any_of(one.world.carried.begin(), one.world.carried.end(), forgets);
  if (forgot && node.outcome() == Outcome::failed) return true;
  const bool used_the_only_try = one.world.tries == 1 && node.outcome() == Outcome::rolled_back;
  return used_the_only_try || (node.outcome() == Outcome::failed && node.cut_off_a_hook());
}

// Old-and-clean or new-and-good, whichever single write the fault replaces.
TEST_P(TransactionCrash, SurvivesAnyOneFault) {
  SimNode undisturbed(GetParam().world);
  ASSERT_TRUE(undisturbed.live({}));
  // With peripherals there are three times as many writes.
  const bool sampled = !GetParam().world.carried.empty();
  for (std::size_t at = 1; at <= undisturbed.writes(); ++at) {
    for (const FaultKind kind : kKinds) {
      // Before a write is after the one before it; the kinds of error take turns.
      const bool left_out = kind == FaultKind::cut_before || kind == kKinds[2 + at % 2];
      if (sampled && at > 1 && left_out) continue;
      SimNode node(GetParam().world);
      ASSERT_TRUE(node.live({{at, kind}})) << name(kind) << " write " << at << ": no end within 40 starts";
      EXPECT_EQ(node.violation(), "") << name(kind) << " write " << at << ": " << node.picture();
      const bool cut = kind == FaultKind::cut_before || kind == FaultKind::cut_after;
      EXPECT_TRUE(!cut || same_end(node, GetParam(), at)) << name(kind) << " write " << at << ": " << node.picture();
    }
  }
}

// The second fault strikes while the first is being mended.
TEST_P(TransactionCrash, SurvivesTwoFaults) {
  SimNode undisturbed(GetParam().world);
  ASSERT_TRUE(undisturbed.live({}));
  const bool sampled = !GetParam().world.carried.empty();
  for (std::size_t first = 1; first <= undisturbed.writes(); ++first) {
    constexpr std::size_t kDistances[] = {1, 2, 3, 5, 8, 13};
    for (const std::size_t distance : kDistances) {
      if (sampled && distance != kDistances[first % std::size(kDistances)]) continue;
      const Fault one{first, kKinds[(first + distance) % 4]};
      const Fault two{first + distance, kKinds[(first / 4 + distance) % 4]};
      SimNode node(GetParam().world);
      ASSERT_TRUE(node.live({one, two})) << name(one.kind) << " write " << one.at << ", " << name(two.kind) << " write "
                                         << two.at << ": no end within 40 starts";
      ASSERT_EQ(node.violation(), "") << name(one.kind) << " write " << one.at << ", " << name(two.kind) << " write "
                                      << two.at << ": " << node.picture();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Worlds, TransactionCrash, testing::ValuesIn(cases()), [](const auto& instance) {
  std::string title = instance.param.title;
  for (char& c : title)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return title;
});

}  // namespace
}  // namespace hc::sim
