#include "bootloader/grub.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "bootloader/boot_dir.h"
#include "bootloader/grub_medium.h"
#include "bootloader/rules.h"
#include "engine/base/log.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::uint64_t kReadLimit = 64 << 10;

fs::path hint_path(const fs::path& boot) { return boot / "honeycomb/confirmed.cfg"; }
std::string hint_text(Slot slot) { return "set hc_good='" + std::string(name(slot)) + "'\n"; }

// The same order as in grub.cfg: the copy, else the first slot that has an entry.
Result<Slot> confirmed_without_env(const fs::path& boot) {
  const std::optional<std::string> hint = HC_TRY(read_file_if_exists(hint_path(boot), kReadLimit));
  for (const Slot slot : {Slot::a, Slot::b}) {
    if (hint == hint_text(slot)) return slot;
  }
  std::error_code error;
  const auto has_entry = [&](Slot slot) { return fs::exists(boot / "honeycomb" / name(slot) / "slot.cfg", error); };
  return !has_entry(Slot::a) && has_entry(Slot::b) ? Slot::b : Slot::a;
}

void put(GrubEnv& env, const BootState& state) {
  for (const auto& [name, value] : variables_of(state)) env.set(name, value);
}

// Opens grubenv for `flags`; nothing where there is none.
Result<UniqueFd> open_env(const fs::path& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd && errno == ENOENT) return fd;
  if (!fd && errno == ELOOP)
    return Error(Code::invalid, path.string() + " is a symbolic link: what GRUB writes to might be another file")
        .with_hint("replace it by a plain file: grub-editenv " + path.string() + " create");
  if (!fd) return Error::from_errno(errno, "opening " + path.string());
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return Error::from_errno(errno, "reading " + path.string());
  if (!S_ISREG(info.st_mode)) return Error(Code::invalid, path.string() + " is no regular file");
  return fd;
}

Result<std::optional<std::string>> read_env(const fs::path& path) {
  const UniqueFd fd = HC_TRY(open_env(path, O_RDONLY));
  if (!fd) return std::optional<std::string>();
  return read_file_if_exists(path, kReadLimit);
}

Result<std::string> read_back(int fd) {
  // From the disk, not from the memory that still holds what we wrote.
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  std::array<char, GrubEnv::kSize + 1> buffer{};
  const ssize_t size = ::pread(fd, buffer.data(), buffer.size(), 0);
  if (size < 0) return Error::from_errno(errno, "reading back");
  return std::string(buffer.data(), static_cast<std::size_t>(size));
}

std::string listed(const std::vector<std::string>& faults) {
  std::string text;
  for (const std::string& fault : faults) text += (text.empty() ? "" : "; ") + fault;
  return text;
}

}  // namespace

fs::path grubenv_path(const fs::path& boot) { return boot / "grub/grubenv"; }

Status rewrite_grubenv(const fs::path& path, std::string_view block) {
  const UniqueFd fd = HC_TRY(open_env(path, O_RDWR));
  if (!fd) return Error(Code::io, path.string() + " is gone");
  const std::string old = HC_TRY(read_back(fd.get()).in(path.string()));
  const bool rest_is_same =
      old.size() == block.size() && old.substr(GrubEnv::kSector) == block.substr(GrubEnv::kSector);
  const std::string_view change = rest_is_same ? block.substr(0, GrubEnv::kSector) : block;
  // Written even where nothing differs: after a failed sync, memory may say "new" while the disk says "old".
  const ssize_t written = ::pwrite(fd.get(), change.data(), change.size(), 0);
  if (written < 0) return Error::from_errno(errno, "writing " + path.string());
  if (static_cast<std::size_t>(written) != change.size())
    return Error(Code::io, "writing " + path.string() + ": only a part was taken");
  if (::ftruncate(fd.get(), static_cast<off_t>(block.size())) != 0)
    return Error::from_errno(errno, "cutting " + path.string());
  if (::fsync(fd.get()) != 0) return Error::from_errno(errno, "syncing " + path.string());
  const std::string now = HC_TRY(read_back(fd.get()).in(path.string()));
  if (now != block) return Error(Code::io, path.string() + " does not read back as it was written");
  return ok;
}

Result<GrubBoot> read_grub_boot(const fs::path& boot) {
  const std::optional<std::string> block = HC_TRY(read_env(grubenv_path(boot)));
  GrubEnv env = GrubEnv::parse(block.value_or(""));
  SwitchRead read = read_switch([&](const char* name) { return env.get(name); });
  if (read.good_is_bad) read.state.confirmed = HC_TRY(confirmed_without_env(boot));
  return GrubBoot{read.state, read.good_is_bad, read.trial_is_bad, std::move(env)};
}

GrubControl::GrubControl(fs::path boot) : boot_(std::move(boot)), entries_(boot_, "slot.cfg", EntryStyle::grub) {}

Status GrubControl::check_place() {
  std::error_code error;
  const fs::path dir = grubenv_path(boot_).parent_path();
  if (!fs::is_directory(dir, error))
    return Error(Code::invalid, "there is no GRUB here: " + dir.string() + " is missing")
        .with_hint(
            "wire it as docs/bootloaders.md says, or name this board's bootloader with [boot] loader in "
            "honeycomb.conf");
  if (is_sandbox(boot_)) return ok;
  HC_TRY(save_env_works(dir));
  const std::string config = HC_TRY(read_file_if_exists(dir / "grub.cfg", 1 << 20)).value_or("");
  if (config.find(kTriesVariable) == std::string::npos)
    return Error(Code::invalid, (dir / "grub.cfg").string() + " does not count boot attempts: it is not Honeycomb's")
        .with_hint("install bootloader/grub/grub.cfg there");
  return settle(boot_);
}

Status GrubControl::check() {
  Status usable = check_place();
  if (usable) usable = mend();
  return std::move(usable).in("boot attempts cannot be counted");
}

// A block that is not exactly as we would write it is put right before the switch needs it, so that the switch itself
// is a change of one sector.
Status GrubControl::mend() {
  const fs::path path = grubenv_path(boot_);
  const std::optional<std::string> block = HC_TRY(read_env(path));
  GrubBoot now = HC_TRY(read_grub_boot(boot_));
  const std::vector<std::string> faults = now.env.faults();
  put(now.env, now.state);
  const std::string wanted = HC_TRY(now.env.serialise());
  if (block == wanted) return ok;
  // Where there is none, GRUB cannot miss an older one by not seeing the new name.
  if (!block) HC_TRY(write_atomically(path, wanted));
  HC_TRY(rewrite_grubenv(path, wanted));
  if (block && faults.empty()) return ok;
  log(Level::warning, path.string() + " was rebuilt: " + (block ? listed(faults) : "it was missing"));
  return settle(boot_);
}

Status GrubControl::store(const BootState& state) {
  HC_TRY(mend());
  GrubBoot now = HC_TRY(read_grub_boot(boot_));
  put(now.env, state);
  const std::string block = HC_TRY(now.env.serialise());
  return rewrite_grubenv(grubenv_path(boot_), block);
}

Result<BootState> GrubControl::state() {
  GrubBoot now = HC_TRY(read_grub_boot(boot_));
  return now.state;
}

Result<std::optional<BootEntry>> GrubControl::entry(Slot slot) { return entries_.read(slot); }

Status GrubControl::install_entry(Slot slot, const BootEntry& entry) {
  HC_TRY(entries_.write(slot, entry));
  return settle(boot_);
}

Status GrubControl::remove_entry(Slot slot) {
  const BootState now = HC_TRY(state());
  HC_TRY(may_remove(now, slot));
  HC_TRY(entries_.remove(slot));
  return settle(boot_);
}

Status GrubControl::arm(Slot slot, unsigned tries) {
  BootState now = HC_TRY(state());
  HC_TRY(may_arm(now, slot, tries));
  HC_TRY(entries_.bootable(slot));
  // Everything that the trial reads must be in its final place before GRUB is told of it.
  HC_TRY(settle(boot_));
  return store({now.confirmed, slot, tries});
}

Status GrubControl::confirm(Slot slot) {
  HC_TRY(entries_.bootable(slot));
  HC_TRY(store({slot, std::nullopt, 0}));
  // The copy may lag behind (a power cut here): until this returns Ok, nobody touches the slot that it still names.
  const std::optional<std::string> hint = HC_TRY(read_file_if_exists(hint_path(boot_), kReadLimit));
  if (hint == hint_text(slot)) return ok;
  HC_TRY(make_dirs(hint_path(boot_).parent_path()));
  HC_TRY(write_atomically(hint_path(boot_), hint_text(slot)));
  return settle(boot_);
}

Status GrubControl::disarm() {
  const BootState now = HC_TRY(state());
  return store({now.confirmed, std::nullopt, 0});
}

}  // namespace hc
