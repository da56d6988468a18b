#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/stop.h"
#include "engine/store/kernel_arguments.h"
#include "engine/store/ostree.h"

namespace hc {

using Deployment = GRef<OstreeDeployment>;

// libostree's half of a sysroot: its list of deployments, which it keeps in /boot/loader/entries. Honeycomb boots by
// its own entries; the list is kept true so that `ostree admin status`, the booted deployment and prune work.
class Deployments {
 public:
  // `may_freeze`: libostree may freeze the file system of /boot for an instant, as it does by itself.
  Deployments(OstreeSysroot* sysroot, std::string stateroot, bool may_freeze)
      : sysroot_(sysroot), stateroot_(std::move(stateroot)), may_freeze_(may_freeze) {}

  // Reads the list again where somebody changed it.
  Status reload();

  std::vector<Deployment> list() const;
  // One of our stateroot by its installation id; empty where there is none.
  Deployment find(const std::string& id) const;
  Deployment booted() const;
  bool is_ours(const Deployment& deployment) const;
  static std::string id(const Deployment& deployment);
  static std::string boot_checksum(const Deployment& deployment);
  // As the list says, libostree's own ostree= included.
  static Result<KernelArguments> arguments(const Deployment& deployment);

  // Checks out a new deployment and merges /etc from `merge` (may be empty). Not in the list yet.
  Result<Deployment> deploy(const std::string& commit, const KernelArguments& arguments, const Deployment& merge,
                            const StopToken& stop);
  // The same deployment with other kernel arguments, for write().
  static Deployment with_arguments(const Deployment& deployment, const KernelArguments& arguments);

  // Makes `list` the list, the first one libostree's default. Judged by what is on the disk afterwards, not by what
  // libostree answers: it has failed having done the work.
  Status write(const std::vector<Deployment>& list);
  // From now on `ostree admin deploy` by hand does not drop it. Our own write() does not look at pins.
  Status pin(const std::string& id);

 private:
  OstreeSysroot* sysroot_;
  std::string stateroot_;
  bool may_freeze_;
};

// The lock that libostree's own programs take, for as long as it lives. Fails with Code::busy where one works.
class SysrootLock {
 public:
  static Result<SysrootLock> take(OstreeSysroot* sysroot);
  SysrootLock(SysrootLock&& other) noexcept : sysroot_(std::exchange(other.sysroot_, nullptr)) {}
  SysrootLock(const SysrootLock&) = delete;
  SysrootLock& operator=(const SysrootLock&) = delete;
  SysrootLock& operator=(SysrootLock&&) = delete;
  ~SysrootLock() {
    if (sysroot_) ostree_sysroot_unlock(sysroot_);
  }

 private:
  explicit SysrootLock(OstreeSysroot* sysroot) : sysroot_(sysroot) {}
  OstreeSysroot* sysroot_;
};

}  // namespace hc
