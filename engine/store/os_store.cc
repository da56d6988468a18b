#include "engine/store/os_store.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/base/text.h"
#include "engine/store/compare_tree.h"
#include "engine/store/deployments.h"
#include "engine/store/etc_merge.h"
#include "engine/store/os_contents.h"

namespace hc {
namespace {

GRef<OstreeSysroot> sysroot_object(const fs::path& path) {
  const GRef<GFile> file = adopt(g_file_new_for_path(path.c_str()));
  return adopt(ostree_sysroot_new(file.get()));
}

// Sets a key of the group `sysroot` in the repository's settings.
Status set_of_sysroot(OstreeRepo* repo, const char* key, const char* value) {
  const KeyFile config(ostree_repo_copy_config(repo));
  const GText now(g_key_file_get_value(config.get(), "sysroot", key, nullptr));
  if (now && std::string_view(now.get()) == value) return ok;
  g_key_file_set_value(config.get(), "sysroot", key, value);
  GErr err;
  if (!ostree_repo_write_config(repo, config.get(), err)) return failed(err, "writing the repository's settings");
  return ok;
}

// libostree must not run grub-mkconfig and the like: the entries are ours.
Status leave_bootloader_alone(OstreeRepo* repo) { return set_of_sysroot(repo, "bootloader", "none"); }

bool on_other_device(const fs::path& one, const fs::path& other) {
  struct stat a {};
  struct stat b {};
  return ::stat(one.c_str(), &a) == 0 && ::stat(other.c_str(), &b) == 0 && a.st_dev != b.st_dev;
}

Status make_writable(const char* place) {
  struct statvfs info {};
  if (::statvfs(place, &info) != 0) return Error::from_errno(errno, std::string("looking at ") + place);
  if ((info.f_flag & ST_RDONLY) == 0) return ok;
  if (::mount(nullptr, place, nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0) return ok;
  return Error::from_errno(errno, std::string("making ") + place + " writable");
}

// Whoever may not mount (honeycombd in its sandbox) only looks.
bool may_mount(const fs::path& ours) {
  std::error_code error;
  const fs::path first = fs::read_symlink("/proc/1/ns/mnt", error);
  return !error && (ours != first || ::unshare(CLONE_NEWNS) == 0) &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0;
}

// Everybody else sees /sysroot read-only. Here it becomes writable before anything in it is opened: libostree would do
// so only with the first change of its own, and what was opened before stays read-only. False: this is no such system,
// or we may only look at it.
Result<bool> see_it_writable() {
  std::error_code error;
  if (!fs::exists("/run/ostree-booted", error) || ::geteuid() != 0) return false;
  const fs::path ours = fs::read_symlink("/proc/thread-self/ns/mnt", error);
  if (error || !may_mount(ours)) return false;
  for (const char* place : {"/sysroot", "/boot"}) HC_TRY(make_writable(place));
  return true;
}

// Freezing the file system of a sandbox in a folder would freeze the host.
bool may_freeze(const fs::path& sysroot) { return sysroot == "/" || on_other_device(sysroot / "boot", "/"); }

// How the pair of kernel and initramfs is called that a deployment boots.
std::string boot_key(const Deployment& deployment) { return Deployments::boot_checksum(deployment).substr(0, 16); }

fs::path stateroot_path(const fs::path& sysroot, const std::string& stateroot) {
  return sysroot / "ostree/deploy" / stateroot;
}

KernelPair pair_of(const OsContents& contents, const fs::path& root) {
  return {root / contents.kernel.path, contents.initramfs ? root / contents.initramfs->path : fs::path()};
}

// What a title may hold so that every bootloader shows it: printable ASCII without quotes.
std::string plain_title(const std::string& text) {
  std::string title;
  for (const char c : text) title += c >= ' ' && c <= '~' && c != '\'' && c != '"' && c != '\\' ? c : '?';
  return title.substr(0, 200);
}

}  // namespace

struct OsStore::Installed {
  std::string id;
  Commit commit;
  Deployment deployment;
  OsContents contents;
  KernelPair pair;
};

OsStore::OsStore(fs::path sysroot, const std::string& stateroot, GRef<OstreeSysroot> object, Repository repository)
    : sysroot_(std::move(sysroot)),
      stateroot_(stateroot),
      object_(std::move(object)),
      repository_(std::move(repository)),
      links_(sysroot_ / "ostree/slots", fs::path("../deploy") / stateroot / "deploy"),
      boot_(sysroot_ / "boot", may_freeze(sysroot_)),
      deployments_(std::make_unique<Deployments>(object_.get(), stateroot, may_freeze(sysroot_))) {}

OsStore::~OsStore() = default;

Status OsStore::create(const fs::path& sysroot, const std::string& stateroot) {
  // /tmp of a version is a link to <sysroot>/tmp; something is mounted there.
  for (const char* directory : {"boot", "tmp"}) HC_TRY(make_dirs(sysroot / directory));
  const GRef<OstreeSysroot> object = sysroot_object(sysroot);
  GErr err;
  if (!ostree_sysroot_ensure_initialized(object.get(), nullptr, err) ||
      !ostree_sysroot_load(object.get(), nullptr, err))
    return failed(err, "making the system root " + sysroot.string());
  std::error_code error;
  GErr stateroot_err;
  if (!fs::is_directory(stateroot_path(sysroot, stateroot) / "var", error) &&
      !ostree_sysroot_init_osname(object.get(), stateroot.c_str(), nullptr, stateroot_err))
    return failed(stateroot_err, "making the state root " + stateroot);
  OstreeRepo* repo = ostree_sysroot_repo(object.get());
  HC_TRY(leave_bootloader_alone(repo));
  // On a running node nothing but the engine writes to /sysroot.
  HC_TRY(set_of_sysroot(repo, "readonly", "true"));
  return sync_filesystem(sysroot);
}

Result<std::unique_ptr<OsStore>> OsStore::open(const fs::path& sysroot, const std::string& stateroot) {
  const fs::path path = fs::absolute(sysroot).lexically_normal();
  const bool writable = path == "/" && HC_TRY(see_it_writable());
  GRef<OstreeSysroot> object = sysroot_object(path);
  if (writable) ostree_sysroot_set_mount_namespace_in_use(object.get());
  GErr err;
  if (!ostree_sysroot_load(object.get(), nullptr, err))
    return failed(err, "there is no system root in " + path.string());
  std::error_code error;
  if (!fs::is_directory(stateroot_path(path, stateroot), error))
    return Error(Code::invalid, path.string() + " has no state root " + quote(stateroot));
  Repository repository(retain(ostree_sysroot_repo(object.get())));
  return std::unique_ptr<OsStore>(new OsStore(path, stateroot, std::move(object), std::move(repository)));
}

Result<std::optional<SlotContent>> OsStore::content(Slot slot) {
  const std::optional<std::string> id = HC_TRY(links_.id(slot));
  if (!id) return std::optional<SlotContent>();
  const Commit commit = *commit_of_installation(*id);
  return std::optional(SlotContent{*id, commit, repository_.version(commit), links_.root(*id), 0});
}

Result<OsStore::Installed> OsStore::installed(Slot slot) {
  HC_TRY(deployments_->reload());
  const std::optional<std::string> id = HC_TRY(links_.id(slot));
  if (!id) return Error(Code::invalid, "slot " + std::string(name(slot)) + " is empty");
  const Deployment deployment = deployments_->find(*id);
  if (!deployment)
    return Error(Code::io, "slot " + std::string(name(slot)) + " points to " + *id + ", which libostree does not list")
        .with_hint("deploy a version into the slot again");
  const Commit commit = *commit_of_installation(*id);
  OsContents contents = HC_TRY(read_os_contents(repository_, commit));
  KernelPair pair = pair_of(contents, links_.root(*id));
  return Installed{*id, commit, deployment, std::move(contents), std::move(pair)};
}

Result<std::vector<std::string>> OsStore::rehearse(Slot slot, const VerifiedPayload& payload) {
  const bool complete = HC_TRY(repository_.is_complete(payload.commit()));
  if (!complete) return Error(Code::io, "commit " + payload.commit().brief() + " is not here whole");
  const OsContents contents = HC_TRY(read_os_contents(repository_, payload.commit()));
  HC_TRY(check_os_contents(repository_, payload.commit(), contents));
  const std::optional<SlotContent> from = HC_TRY(content(other(slot)));
  if (!from) return std::vector<std::string>();
  return rehearse_etc_merge(repository_, from->commit, from->root / "etc", payload.commit());
}

Result<std::string> OsStore::deploy(Slot slot, const Commit& commit, const OsContents& contents,
                                    const StopToken& stop) {
  KernelArguments arguments = contents.default_arguments;
  const std::optional<std::string> other_id = HC_TRY(links_.id(other(slot)));
  const Deployment merge = other_id ? deployments_->find(*other_id) : Deployment();
  if (merge) {
    const KernelArguments all = HC_TRY(Deployments::arguments(merge));
    const KernelArguments defaults = HC_TRY(read_default_arguments(repository_, *commit_of_installation(*other_id)));
    const KernelArguments own = own_arguments(all, defaults);
    arguments.insert(arguments.end(), own.begin(), own.end());
  }
  const Deployment made = HC_TRY(deployments_->deploy(commit.hex(), arguments, merge, stop));
  std::vector<Deployment> list = deployments_->list();
  const auto second =
      std::find_if(list.begin(), list.end(), [&](const Deployment& d) { return d.get() == merge.get(); });
  if (second != list.end()) std::rotate(list.begin(), second, second + 1);
  list.insert(list.begin() + (merge ? 1 : 0), made);
  HC_TRY(deployments_->write(list));
  HC_TRY(deployments_->pin(Deployments::id(made)));
  HC_TRY(hold_listed_commits());
  HC_TRY(sync_filesystem(sysroot_));
  return Deployments::id(made);
}

Result<SlotContent> OsStore::stage(Slot slot, const VerifiedPayload& payload, const ProgressFn& progress,
                                   const StopToken& stop) {
  const SysrootLock lock = HC_TRY(SysrootLock::take(object_.get()));
  HC_TRY(deployments_->reload());
  const std::optional<std::string> now = HC_TRY(links_.id(slot));
  const Deployment booted = deployments_->booted();
  if (booted && now && Deployments::id(booted) == *now)
    return Error(Code::invalid, "slot " + std::string(name(slot)) + " is running and cannot be replaced");
  HC_TRY(rehearse(slot, payload));
  const OsContents contents = HC_TRY(read_os_contents(repository_, payload.commit()));
  HC_TRY(leave_bootloader_alone(repository_.raw()));
  HC_TRY(links_.remember(slot, payload.commit()));
  HC_TRY(collect(other(slot)));
  if (progress) progress({"installing", 0, 0, false});
  const auto install = [&]() -> Result<std::string> {
    std::string id = HC_TRY(deploy(slot, payload.commit(), contents, stop));
    HC_TRY(install_boot_files_of(slot, id));
    return id;
  };
  const Result<std::string> id = install();
  if (!id) {
    // What does not fit must not stay. If it cannot be removed now, the next run tries again; what counts is why.
    static_cast<void>(collect(other(slot)));
    return id.error();
  }
  HC_TRY(links_.point(slot, *id));
  std::optional<SlotContent> staged = HC_TRY(content(slot));
  if (!staged) return Error(Code::internal, "slot " + std::string(name(slot)) + " is empty after it was filled");
  return std::move(*staged);
}

Status OsStore::check(Slot slot, const Commit& commit, const ProgressFn& progress, const StopToken& stop) {
  const Installed have = HC_TRY(installed(slot));
  if (have.commit != commit)
    return Error(Code::io, "slot " + std::string(name(slot)) + " holds commit " + have.commit.brief() + ", not " +
                               commit.brief());
  const auto of_the_node = [](const std::string& path) { return path == "var" || path.starts_with("var/"); };
  HC_TRY(compare_tree(repository_, commit, links_.root(have.id), of_the_node, progress, stop));
  return boot_.check(slot, boot_key(have.deployment), have.pair);
}

Status OsStore::install_boot_files_of(Slot slot, const std::string& id) {
  const Deployment deployment = deployments_->find(id);
  if (!deployment) return Error(Code::io, "there is no deployment " + id);
  const OsContents contents = HC_TRY(read_os_contents(repository_, *commit_of_installation(id)));
  // libostree's own copy.
  const fs::path theirs = boot_.path() / "ostree" / (stateroot_ + "-" + Deployments::boot_checksum(deployment));
  const std::string& version = contents.kernel_version;
  return boot_.install(slot, boot_key(deployment), pair_of(contents, links_.root(id)),
                       {theirs / ("vmlinuz-" + version), theirs / ("initramfs-" + version + ".img")});
}

Status OsStore::install_boot_files(Slot slot) {
  const Installed have = HC_TRY(installed(slot));
  return install_boot_files_of(slot, have.id);
}

Status OsStore::restore(Slot slot, const std::optional<std::string>& id) {
  const SysrootLock lock = HC_TRY(SysrootLock::take(object_.get()));
  HC_TRY(deployments_->reload());
  if (id) HC_TRY(install_boot_files_of(slot, *id));
  HC_TRY(links_.point(slot, id));
  HC_TRY(links_.forget(slot));
  // What cannot be removed is told by release().
  HC_TRY(collect(other(slot)));
  return ok;
}

Result<std::vector<std::string>> OsStore::release() {
  const SysrootLock lock = HC_TRY(SysrootLock::take(object_.get()));
  HC_TRY(deployments_->reload());
  for (const Slot slot : {Slot::a, Slot::b}) HC_TRY(links_.forget(slot));
  return collect(std::nullopt);
}

Result<std::vector<std::string>> OsStore::collect(std::optional<Slot> first) {
  std::set<std::string> kept = HC_TRY(links_.kept());
  if (const Deployment booted = deployments_->booted()) kept.insert(Deployments::id(booted));
  const std::vector<Deployment> before = deployments_->list();
  std::vector<Deployment> list;
  std::copy_if(before.begin(), before.end(), std::back_inserter(list), [&](const Deployment& deployment) {
    return !deployments_->is_ours(deployment) || kept.contains(Deployments::id(deployment));
  });
  const std::optional<std::string> leader = first ? HC_TRY(links_.id(*first)) : std::nullopt;
  std::stable_partition(list.begin(), list.end(), [&](const Deployment& d) { return Deployments::id(d) == leader; });
  if (list.size() != before.size()) HC_TRY(deployments_->write(list));
  std::vector<std::string> stuck = HC_TRY(links_.sweep(kept));
  // libostree's record of where a deployment came from stands beside it.
  const std::vector<std::string> names = HC_TRY(list_dir(links_.installations()));
  for (const std::string& entry : names) {
    const fs::path origin = links_.installations() / entry;
    std::error_code error;
    if (origin.extension() == ".origin" && !fs::exists(links_.root(origin.stem().string()), error))
      HC_TRY(remove_tree(origin));
  }
  HC_TRY(hold_listed_commits());
  HC_TRY(collect_boot_files());
  return stuck;
}

// libostree makes such refs only in the clean-up that is not used here.
Status OsStore::hold_listed_commits() {
  std::set<std::string> ids;
  for (const Deployment& deployment : deployments_->list()) ids.insert(Deployments::id(deployment));
  return hold_commits(repository_, "os", ids);
}

// Not left to libostree, whose clean-up stops for good at the first deployment that it cannot remove.
Status OsStore::collect_boot_files() {
  std::set<std::string> listed;
  for (const Deployment& deployment : deployments_->list())
    listed.insert(stateroot_ + "-" + Deployments::boot_checksum(deployment));
  const fs::path theirs = boot_.path() / "ostree";
  const std::vector<std::string> entries = HC_TRY(list_dir(theirs));
  for (const std::string& entry : entries)
    if (entry.starts_with(stateroot_ + "-") && !listed.contains(entry)) HC_TRY(remove_tree(theirs / entry));
  for (const Slot slot : {Slot::a, Slot::b}) {
    std::set<std::string> keys;
    const std::set<std::string> ids = HC_TRY(links_.kept(slot));
    for (const std::string& id : ids)
      if (const Deployment deployment = deployments_->find(id)) keys.insert(boot_key(deployment));
    HC_TRY(boot_.sweep(slot, keys));
  }
  return ok;
}

Result<BootFiles> OsStore::boot_files(Slot slot) {
  const Installed have = HC_TRY(installed(slot));
  const std::string below =
      "/" + boot_.directory(slot, boot_key(have.deployment)).lexically_relative(boot_.path()).string();
  const std::string version = repository_.version(have.commit);
  const bool told = have.contents.name.find(version) != std::string::npos;
  BootFiles files;
  files.title = plain_title(have.contents.name + (told ? "" : " " + version));
  files.kernel = below + "/vmlinuz";
  files.initramfs = have.pair.initramfs.empty() ? "" : below + "/initramfs.img";
  files.arguments = HC_TRY(arguments(slot));
  return files;
}

Result<std::string> OsStore::arguments(Slot slot) {
  const Installed have = HC_TRY(installed(slot));
  const KernelArguments all = HC_TRY(Deployments::arguments(have.deployment));
  KernelArguments arguments = own_arguments(all, {});
  arguments.push_back("ostree=/ostree/slots/" + std::string(name(slot)));
  return join_arguments(arguments);
}

Status OsStore::set_arguments(Slot slot, const std::string& own) {
  const SysrootLock lock = HC_TRY(SysrootLock::take(object_.get()));
  const Installed have = HC_TRY(installed(slot));
  const KernelArguments words = HC_TRY(split_arguments(own));
  KernelArguments wanted = have.contents.default_arguments;
  const KernelArguments node = own_arguments(words, {});
  wanted.insert(wanted.end(), node.begin(), node.end());
  std::vector<Deployment> list = deployments_->list();
  for (Deployment& deployment : list)
    if (deployment.get() == have.deployment.get()) deployment = Deployments::with_arguments(deployment, wanted);
  HC_TRY(deployments_->write(list));
  const KernelArguments now = HC_TRY(Deployments::arguments(deployments_->find(have.id)));
  if (own_arguments(now, {}) == wanted) return ok;
  return Error(Code::io, "the kernel arguments of slot " + std::string(name(slot)) + " are not what was written");
}

}  // namespace hc
