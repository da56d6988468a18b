#pragma once

#include "bootloader/boot_control.h"

// What every bootloader of ours refuses, in the same words.
namespace hc {

inline constexpr unsigned kMostTries = 9;

Status may_arm(const BootState& state, Slot slot, unsigned tries);
// The confirmed slot, and one that the next boot would try, must keep their entries.
Status may_remove(const BootState& state, Slot slot);
Error no_entry(Slot slot);

}  // namespace hc
