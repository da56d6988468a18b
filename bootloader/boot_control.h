#pragma once

#include <optional>
#include <string>

#include "engine/base/ids.h"

namespace hc {

// What one slot boots. Paths are relative to the boot directory (<sysroot>/boot) and begin with `/`, so that an entry
// is the same whether that is a partition of its own or a directory of the root file system.
struct BootEntry {
  std::string title;      // "Honeycomb OS 2.4.0"
  std::string kernel;     // "/honeycomb/b/vmlinuz" for <sysroot>/boot/honeycomb/b/vmlinuz
  std::string initramfs;  // empty: none
  std::string arguments;  // the kernel command line, `ostree=/ostree/slots/<slot>` included

  bool operator==(const BootEntry&) const = default;
};

// What the bootloader's environment says.
struct BootState {
  Slot confirmed = Slot::a;   // booted when nothing is on trial, and when a trial is used up
  std::optional<Slot> trial;  // being tried
  unsigned tries_left = 0;    // boots still allowed for `trial`; 0 with a trial: used up, the bootloader fell back

  bool operator==(const BootState&) const = default;
};

// One bootloader's side of the switch. arm(), confirm() and disarm() are each one small write, durable on return, and
// can be repeated; after a failure the environment is what it was before or what was asked for, never anything else.
// install_entry() and remove_entry() touch nothing that starting the other slot reads.
class BootControl {
 public:
  virtual ~BootControl() = default;

  virtual std::string_view kind() const = 0;  // "grub", "uboot", ...

  // Fails with a reason where this bootloader cannot keep its promise here (grubenv on btrfs, an environment of the
  // wrong size, ...).
  virtual Status check() = 0;

  virtual Result<BootState> state() = 0;

  virtual Result<std::optional<BootEntry>> entry(Slot slot) = 0;
  virtual Status install_entry(Slot slot, const BootEntry& entry) = 0;
  // Refused for the confirmed slot, and for one that the next boot would try.
  virtual Status remove_entry(Slot slot) = 0;

  // The switch: the next boots try `slot`, `tries` times at the most, else the confirmed slot. REQUIRES: slot is not
  // the confirmed one, 1 <= tries <= 9. Refused where `slot` has no entry, or its kernel is not there.
  virtual Status arm(Slot slot, unsigned tries) = 0;
  // Makes `slot` the confirmed one and ends any trial. Refused where `slot` has no entry.
  virtual Status confirm(Slot slot) = 0;
  // Ends any trial; the confirmed slot stays.
  virtual Status disarm() = 0;
};

}  // namespace hc
