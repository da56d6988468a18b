#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/ids.h"
#include "engine/base/progress.h"
#include "engine/base/stop.h"

namespace hc {

// What one slot holds. `id` names this very installation (an OSTree deployment "CSUM.SERIAL", a checkout): two
// installations of one commit differ.
struct SlotContent {
  std::string id;
  Commit commit;
  std::string version;     // as the commit says; empty where it says none
  fs::path root;           // absolute path of its tree
  std::uint64_t size = 0;  // reserved for reports; 0: not measured
};

struct SlotSpace {
  struct Need {
    fs::path where;  // a path on the file system meant
    std::uint64_t bytes = 0;
    std::uint64_t inodes = 0;
    Space free;
  };
  std::vector<Need> needs;  // one for each file system touched
};

// The two slots of one target and the versions kept for it. OS: a libostree sysroot. Peripheral: two checkouts.
//
// Everything here may be repeated after a crash at any point and then gives the same end. Nothing here changes a byte
// that starting the *other* slot reads.
class SlotStore {
 public:
  virtual ~SlotStore() = default;

  virtual Result<std::optional<SlotContent>> content(Slot slot) = 0;

  // What staging `payload` will use, in new bytes and inodes, on each file system. REQUIRES: the commit is complete in
  // the repository.
  virtual Result<SlotSpace> space_for(const VerifiedPayload& payload) = 0;

  // Looks, changing nothing, whether stage() into `slot` would be refused; meant to be asked before any hook runs. Ok:
  // what people should know about the change, one sentence each. REQUIRES: the commit is complete in the repository.
  virtual Result<std::vector<std::string>> rehearse(Slot slot, const VerifiedPayload& payload) {
    (void)slot;
    (void)payload;
    return std::vector<std::string>();
  }

  // Installs `payload` beside what both slots hold and then points `slot` to it; what `slot` held before stays on the
  // disk under its id until release() (so that restore() can bring it back). OS: /etc is merged from the other slot's
  // content (three-way, local wins), and the kernel arguments that the payload asks for are followed by those of this
  // node. Ok: durable. Repeating it after a crash adds no second copy.
  virtual Result<SlotContent> stage(Slot slot, const VerifiedPayload& payload, const ProgressFn& progress,
                                    const StopToken& stop) = 0;

  // Compares every file of `slot` with `commit` (sizes, checksums, modes, kernel and initramfs in /boot too), local
  // /etc and /var aside. Names the first files that differ.
  virtual Status check(Slot slot, const Commit& commit, const ProgressFn& progress, const StopToken& stop) = 0;

  // Points `slot` back to the installation `id` (nothing: empties the slot) and removes what was staged there since.
  // Undo of stage().
  virtual Status restore(Slot slot, const std::optional<std::string>& id) = 0;

  // Removes every installation that no slot points to. A file that cannot be removed is no failure: its path comes back
  // as text.
  virtual Result<std::vector<std::string>> release() = 0;
};

}  // namespace hc
