#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/handle.h"
#include "engine/store/boot_files.h"
#include "engine/store/repository.h"
#include "engine/store/slot_links.h"
#include "engine/store/slot_store.h"

typedef struct OstreeSysroot OstreeSysroot;  // libostree's own name; only engine/store includes its header

namespace hc {

class Deployments;
struct OsContents;

// What a bootloader needs to start one slot.
struct BootFiles {
  std::string title;      // "Debian GNU/Linux 12 (bookworm) 2.4.0"
  std::string kernel;     // relative to the boot directory, with a `/` before it
  std::string initramfs;  // likewise; empty: none
  std::string arguments;  // the whole command line, with one ostree=/ostree/slots/<slot> at its end
};

// The two OS slots of a libostree sysroot: <sysroot>/ostree/slots/{a,b} are symlinks to deployments, their kernels lie
// in <sysroot>/boot/honeycomb/<slot>/. See SlotStore for what each call promises.
//
// stage() refuses, before it changes anything, what rehearse() refuses. What a transaction leaves behind is removed by
// release() or restore(): one of them must end every stage() before another version is staged into the same slot.
class OsStore final : public SlotStore {
 public:
  // Makes an empty sysroot with one stateroot, for images and sandboxes. No error where there is one.
  static Status create(const fs::path& sysroot, const std::string& stateroot);
  // `sysroot` is "/" on a running node.
  static Result<std::unique_ptr<OsStore>> open(const fs::path& sysroot, const std::string& stateroot);
  ~OsStore() override;

  // The sysroot's own; lives as long as this.
  Repository& repository() { return repository_; }

  Result<std::optional<SlotContent>> content(Slot slot) override;
  Result<SlotSpace> space_for(const VerifiedPayload& payload) override;
  // Whether `payload` would boot from `slot`: one kernel with the modules and initramfs of its version, an os-release,
  // an /etc that can be merged with this node's. Changes nothing. Ok: what people should know about the merge.
  Result<std::vector<std::string>> rehearse(Slot slot, const VerifiedPayload& payload) override;
  Result<SlotContent> stage(Slot slot, const VerifiedPayload& payload, const ProgressFn& progress,
                            const StopToken& stop) override;
  Status check(Slot slot, const Commit& commit, const ProgressFn& progress, const StopToken& stop) override;
  Status restore(Slot slot, const std::optional<std::string>& id) override;
  Result<std::vector<std::string>> release() override;

  // Puts the slot's kernel and initramfs into the boot directory, in place on the disk for a bootloader that does not
  // replay a journal. stage() and restore() do so already. REQUIRES: the slot is not empty.
  Status install_boot_files(Slot slot);
  Result<BootFiles> boot_files(Slot slot);

  // The kernel arguments of a slot: the defaults of its version, then those of this node.
  Result<std::string> arguments(Slot slot);
  // Makes `own` this node's arguments in `slot`; they follow into every version staged from now on. The bootloader's
  // entry must be written anew.
  Status set_arguments(Slot slot, const std::string& own);

 private:
  OsStore(fs::path sysroot, const std::string& stateroot, GRef<OstreeSysroot> object, Repository repository);

  struct Installed;
  Result<Installed> installed(Slot slot);
  Status install_boot_files_of(Slot slot, const std::string& id);
  // Takes everything off the disk that nothing points to. `first`: whose deployment libostree shows as the default.
  Result<std::vector<std::string>> collect(std::optional<Slot> first);
  Status collect_boot_files();
  Status hold_listed_commits();
  Result<std::string> deploy(Slot slot, const Commit& commit, const OsContents& contents, const StopToken& stop);

  fs::path sysroot_;
  std::string stateroot_;
  GRef<OstreeSysroot> object_;
  Repository repository_;
  SlotLinks links_;
  BootDirectory boot_;
  std::unique_ptr<Deployments> deployments_;
};

}  // namespace hc
