#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bootloader/boot_control.h"
#include "engine/base/file.h"

namespace hc {

// How the boot entry of a slot is written down, each a file of at most four plain lines.
enum class EntryStyle {
  grub,   // set hc_title='...'   sourced by grub.cfg
  plain,  // hc_title=...         imported by U-Boot's `env import -t`, read by an integrator's program
  bls,    // title ...            the Boot Loader Specification's type 1, read by systemd-boot
};

// Fails with Code::invalid, naming the field and the reason, where a bootloader could not hand `entry` to the kernel
// unchanged: quotes, backslashes, control and non-ASCII characters, wildcards in the command line, a path that is not
// absolute or holds a blank, a command line above what kernels take.
Result<std::string> format_entry(const BootEntry& entry, EntryStyle style);
// Reads what format_entry() wrote, and nothing else.
Result<BootEntry> parse_entry(std::string_view text, EntryStyle style);

// Fails where there is no entry, or its kernel or initramfs is not below `boot`.
Status files_are_there(const fs::path& boot, Slot slot, const std::optional<BootEntry>& entry);

// The slots' entry files below `boot`: honeycomb/<slot>/<file>. The other slot's directory is never touched.
class EntryFiles {
 public:
  EntryFiles(fs::path boot, std::string file, EntryStyle style)
      : boot_(std::move(boot)), file_(std::move(file)), style_(style) {}

  fs::path path(Slot slot) const;
  Result<std::optional<BootEntry>> read(Slot slot) const;
  // Durable; a reader sees the old or the new file.
  Status write(Slot slot, const BootEntry& entry) const;
  Status remove(Slot slot) const;
  // files_are_there() for the slot's entry.
  Status bootable(Slot slot) const;

 private:
  fs::path boot_;
  std::string file_;
  EntryStyle style_;
};

}  // namespace hc
