#include "engine/store/deployments.h"

#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace hc {
namespace {

constexpr int kLockWaitMs = 3000;
constexpr int kLockTickMs = 50;

using Strings = Handle<char*, g_strfreev>;

// While it lives, this thread (and the children it makes) may not freeze file systems; libostree syncs instead.
class WithoutFreezing {
 public:
  WithoutFreezing() : had_(::syscall(SYS_capget, &header_, sets_.data()) == 0) {
    auto fewer = sets_;
    fewer[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
    // Where it fails, the freeze is what libostree does everywhere: no harm beyond an instant.
    had_ = had_ && ::syscall(SYS_capset, &header_, fewer.data()) == 0;
  }
  ~WithoutFreezing() {
    if (had_ && ::syscall(SYS_capset, &header_, sets_.data()) != 0) std::abort();
  }
  WithoutFreezing(const WithoutFreezing&) = delete;
  WithoutFreezing& operator=(const WithoutFreezing&) = delete;

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets_{};
  bool had_;
};

Strings to_strv(const KernelArguments& arguments) {
  Strings list(g_new0(char*, arguments.size() + 1));
  for (std::size_t i = 0; i < arguments.size(); ++i) list.get()[i] = g_strdup(arguments[i].c_str());
  return list;
}

}  // namespace

Status Deployments::reload() {
  GErr err;
  if (!ostree_sysroot_load_if_changed(sysroot_, nullptr, nullptr, err)) return failed(err, "reading the deployments");
  return ok;
}

std::vector<Deployment> Deployments::list() const {
  const PtrArray all(ostree_sysroot_get_deployments(sysroot_));
  std::vector<Deployment> list;
  for (guint i = 0; i < all->len; ++i)
    list.push_back(retain(static_cast<OstreeDeployment*>(g_ptr_array_index(all.get(), i))));
  return list;
}

Deployment Deployments::find(const std::string& wanted) const {
  for (const Deployment& deployment : list())
    if (is_ours(deployment) && id(deployment) == wanted) return deployment;
  return {};
}

Deployment Deployments::booted() const { return retain(ostree_sysroot_get_booted_deployment(sysroot_)); }

bool Deployments::is_ours(const Deployment& deployment) const {
  return stateroot_ == ostree_deployment_get_osname(deployment.get());
}

std::string Deployments::id(const Deployment& deployment) {
  return std::string(ostree_deployment_get_csum(deployment.get())) + "." +
         std::to_string(ostree_deployment_get_deployserial(deployment.get()));
}

std::string Deployments::boot_checksum(const Deployment& deployment) {
  return ostree_deployment_get_bootcsum(deployment.get());
}

Result<KernelArguments> Deployments::arguments(const Deployment& deployment) {
  const char* options = ostree_bootconfig_parser_get(ostree_deployment_get_bootconfig(deployment.get()), "options");
  return split_arguments(options ? options : "");
}

Result<Deployment> Deployments::deploy(const std::string& commit, const KernelArguments& arguments,
                                       const Deployment& merge, const StopToken& stop) {
  const KeyFile origin(ostree_sysroot_origin_new_from_refspec(sysroot_, commit.c_str()));
  const Strings words = to_strv(arguments);
  Deployment deployment;
  GErr err;
  if (!ostree_sysroot_deploy_tree(sysroot_, stateroot_.c_str(), commit.c_str(), origin.get(), merge.get(), words.get(),
                                  out(deployment), stop.cancellable(), err))
    return failed(err, "installing commit " + commit.substr(0, 12));
  return deployment;
}

Deployment Deployments::with_arguments(const Deployment& deployment, const KernelArguments& arguments) {
  Deployment copy = adopt(ostree_deployment_clone(deployment.get()));
  ostree_bootconfig_parser_set(ostree_deployment_get_bootconfig(copy.get()), "options",
                               join_arguments(arguments).c_str());
  return copy;
}

Status Deployments::write(const std::vector<Deployment>& wanted) {
  const PtrArray array(g_ptr_array_new());
  std::vector<std::string> ids;
  for (const Deployment& deployment : wanted) {
    g_ptr_array_add(array.get(), deployment.get());
    ids.push_back(id(deployment));
  }
  OstreeSysrootWriteDeploymentsOpts options{};
  options.do_postclean = FALSE;  // one file that cannot be removed would make this fail for ever
  std::optional<WithoutFreezing> careful;
  if (!may_freeze_) careful.emplace();
  GErr err;
  const bool written =
      ostree_sysroot_write_deployments_with_options(sysroot_, array.get(), &options, nullptr, err) != FALSE;
  careful.reset();
  // Having failed, libostree may not have told itself to read the list again.
  if (!written) ::utimensat(ostree_sysroot_get_fd(sysroot_), "ostree/deploy", nullptr, 0);
  HC_TRY(reload());
  std::vector<std::string> now;
  for (const Deployment& deployment : list()) now.push_back(id(deployment));
  if (now == ids) return ok;
  if (!written) return failed(err, "writing the list of deployments");
  return Error(Code::io, "the list of deployments is not what was written");
}

Status Deployments::pin(const std::string& wanted) {
  const Deployment deployment = find(wanted);
  GErr err;
  if (!deployment || !ostree_sysroot_deployment_set_pinned(sysroot_, deployment.get(), TRUE, err))
    return failed(err, "pinning the deployment " + wanted);
  return ok;
}

Result<SysrootLock> SysrootLock::take(OstreeSysroot* sysroot) {
  // Children of a process that was killed a moment ago hold its lock until they notice.
  for (int waited = 0; waited <= kLockWaitMs; waited += kLockTickMs) {
    gboolean acquired = FALSE;
    GErr err;
    if (!ostree_sysroot_try_lock(sysroot, &acquired, err)) return failed(err, "locking the system's deployments");
    if (acquired) return SysrootLock(sysroot);
    std::this_thread::sleep_for(std::chrono::milliseconds(kLockTickMs));
  }
  return Error(Code::busy, "another program changes the system's deployments now")
      .with_hint("wait until it has ended (`ostree admin`?), then try again");
}

}  // namespace hc
