#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "bootloader/boot_control.h"

// What every bootloader of ours refuses, in the same words.
namespace hc {

inline constexpr unsigned kMostTries = 9;

Status may_arm(const BootState& state, Slot slot, unsigned tries);
// The confirmed slot, and one that the next boot would try, must keep their entries.
Status may_remove(const BootState& state, Slot slot);
Error no_entry(Slot slot);

// The switch as GRUB and U-Boot keep it: three short texts.
//   hc_good   a or b: the confirmed slot
//   hc_try    a or b: the slot on trial; empty or - for none
//   hc_tries  0 to 9: boots left for it
inline constexpr const char* kGoodVariable = "hc_good";
inline constexpr const char* kTryVariable = "hc_try";
inline constexpr const char* kTriesVariable = "hc_tries";
using Variables = std::map<std::string, std::string>;

// All three, each of one character: a change keeps the length of what holds them.
Variables variables_of(const BootState& state);

struct SwitchRead {
  BootState state;            // confirmed is meaningless where good_is_bad
  bool good_is_bad = false;   // hc_good is missing or no slot; then no trial counts either
  bool trial_is_bad = false;  // hc_try or hc_tries is neither empty nor valid; the bootloader does not try it
};
// Reads them as the bootloaders' scripts do.
SwitchRead read_switch(const std::function<std::optional<std::string>(const char*)>& get);

}  // namespace hc
