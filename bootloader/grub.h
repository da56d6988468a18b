#pragma once

#include <string>

#include "bootloader/boot_control.h"
#include "bootloader/entry_file.h"
#include "bootloader/grubenv.h"
#include "engine/base/file.h"

namespace hc {

// GRUB with the one static configuration bootloader/grub/grub.cfg. Below the boot directory:
//   grub/grubenv              the environment block with hc_good, hc_try, hc_tries: the switch
//   honeycomb/<slot>/slot.cfg the slot's entry; its kernel and initramfs are named relative to the boot directory
//   honeycomb/confirmed.cfg   a copy of hc_good, read by GRUB where the environment block is damaged
//   honeycomb/sandbox         there: a throw-away node that no real GRUB reads, on any file system (see Firmware)
//
// grubenv is only ever rewritten in place, because GRUB does not replay the journal and might miss a rename; a switch
// changes the first sector alone.
class GrubControl final : public BootControl {
 public:
  // `boot` is the boot directory, "/boot" or "<sysroot>/boot".
  explicit GrubControl(fs::path boot);

  std::string_view kind() const override { return "grub"; }
  // Also mends a grubenv that is missing, damaged or not laid out as ours (logged as a warning, with what was wrong).
  Status check() override;
  Result<BootState> state() override;
  Result<std::optional<BootEntry>> entry(Slot slot) override;
  Status install_entry(Slot slot, const BootEntry& entry) override;
  Status remove_entry(Slot slot) override;
  Status arm(Slot slot, unsigned tries) override;
  Status confirm(Slot slot) override;
  Status disarm() override;

 private:
  Status check_place();
  Status mend();
  Status store(const BootState& state);

  fs::path boot_;
  EntryFiles entries_;
};

// What is on the disk, read as grub.cfg reads it. Shared by GrubControl and the sandbox's Firmware, so that the engine
// and what plays GRUB never differ about it.
struct GrubBoot {
  BootState state;
  bool good_is_bad = false;   // hc_good is missing or no slot: confirmed.cfg or the first entry decided
  bool trial_is_bad = false;  // hc_try or hc_tries is neither empty nor valid
  GrubEnv env;
};
Result<GrubBoot> read_grub_boot(const fs::path& boot);

fs::path grubenv_path(const fs::path& boot);

// Puts `block` in the place of the file's content: one write, synced and read back. Where only the first sector differs
// from what is there, only that is written. REQUIRES: block.size() == GrubEnv::kSize.
Status rewrite_grubenv(const fs::path& path, std::string_view block);

}  // namespace hc
