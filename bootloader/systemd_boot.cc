#include "bootloader/systemd_boot.h"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "bootloader/boot_dir.h"
#include "bootloader/entry_file.h"
#include "bootloader/rules.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::string_view kPrefix = "honeycomb-";
constexpr std::string_view kSuffix = ".conf";
// Set by `bootctl set-default`, it overrules loader.conf. (Name and GUID: systemd's Boot Loader Interface.)
constexpr const char* kDefaultVariable =
    "/sys/firmware/efi/efivars/LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

std::size_t index(Slot slot) { return slot == Slot::a ? 0 : 1; }

// Takes a number from the front of `text`; at most six digits, so that it cannot overflow.
std::optional<unsigned> take_number(std::string_view& text) {
  unsigned value = 0;
  const char* first = text.data();
  const auto [end, error] = std::from_chars(first, first + std::min<std::size_t>(text.size(), 6), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - first));
  return value;
}

bool take(std::string_view& text, std::string_view what) {
  if (text.substr(0, what.size()) != what) return false;
  text.remove_prefix(what.size());
  return true;
}

bool default_is_ours(const std::string& loader_conf) {
  for (const std::string& raw : split(loader_conf, '\n')) {
    std::string_view line = trimmed(raw);
    if (take(line, "default") && trimmed(line) == "honeycomb-*") return true;
  }
  return false;
}

}  // namespace

std::optional<EntryName> EntryName::parse(std::string_view file) {
  EntryName name;
  if (!take(file, kPrefix)) return std::nullopt;
  const auto generation = take_number(file);
  if (!generation || !take(file, "-") || file.empty()) return std::nullopt;
  const Result<Slot> slot = parse_slot(file.substr(0, 1));
  if (!slot) return std::nullopt;
  file.remove_prefix(1);
  if (take(file, "+")) {
    name.left = take_number(file);
    if (!name.left) return std::nullopt;
    if (take(file, "-")) {
      const auto done = take_number(file);
      if (!done) return std::nullopt;
      name.done = *done;
    }
  }
  if (file != kSuffix) return std::nullopt;
  name.generation = *generation;
  name.slot = *slot;
  return name;
}

std::string EntryName::file() const {
  std::string text = std::string(kPrefix) + std::to_string(generation) + "-" + std::string(name(slot));
  if (left) text += "+" + std::to_string(*left) + (done > 0 ? "-" + std::to_string(done) : "");
  return text + std::string(kSuffix);
}

// A rename on FAT that was cut off may leave both names: the higher one is what systemd-boot takes.
Result<SystemdBootControl::Entries> SystemdBootControl::entries() const {
  Entries found;
  for (const std::string& file : HC_TRY(list_dir(directory()))) {
    const std::optional<EntryName> name = EntryName::parse(file);
    if (!name) continue;
    found.highest = std::max(found.highest, name->generation);
    std::optional<EntryName>& best = found.of_slot.at(index(name->slot));
    if (!best || best->generation < name->generation) best = name;
  }
  return found;
}

BootState SystemdBootControl::state_of(const Entries& entries) {
  BootState state;
  std::optional<unsigned> confirmed;
  for (const auto& name : entries.of_slot) {
    if (!name || name->left || (confirmed && *confirmed >= name->generation)) continue;
    confirmed = name->generation;
    state.confirmed = name->slot;
  }
  const auto& trial = entries.of_slot.at(index(other(state.confirmed)));
  if (!trial || !trial->left || trial->generation <= confirmed.value_or(0)) return state;
  state.trial = trial->slot;
  state.tries_left = *trial->left;
  return state;
}

Status SystemdBootControl::rename(const EntryName& from, const EntryName& to) const {
  if (from.file() != to.file() && ::rename((directory() / from.file()).c_str(), (directory() / to.file()).c_str()) != 0)
    return Error::from_errno(errno, "renaming " + (directory() / from.file()).string());
  HC_TRY(sync_dir(directory()));
  // What a rename that was cut off once left behind.
  for (const std::string& file : HC_TRY(list_dir(directory()))) {
    const std::optional<EntryName> name = EntryName::parse(file);
    if (name && name->slot == to.slot && file != to.file()) ::unlink((directory() / file).c_str());
  }
  return settle(boot_);
}

Status SystemdBootControl::check() {
  const auto usable = [this]() -> Status {
    const std::string config = HC_TRY(read_file(boot_ / "loader/loader.conf", 64 << 10));
    if (!default_is_ours(config))
      return Error(Code::invalid, (boot_ / "loader/loader.conf").string() + " does not start our entries by itself")
          .with_hint("put the line `default honeycomb-*` there");
    if (is_sandbox(boot_)) return ok;
    struct statfs info {};
    if (::statfs(directory().c_str(), &info) != 0)
      return Error::from_errno(errno, "asking for the file system of " + directory().string());
    if (static_cast<long>(info.f_type) != MSDOS_SUPER_MAGIC)
      return Error(Code::invalid, boot_.string() + " is not on FAT, which is all that UEFI firmware can read");
    std::error_code error;
    if (fs::exists(kDefaultVariable, error))
      return Error(Code::invalid, "the firmware's variable LoaderEntryDefault overrules loader.conf")
          .with_hint("clear it: bootctl set-default \"\"");
    return ok;
  };
  return usable().in("boot attempts cannot be counted");
}

Result<BootState> SystemdBootControl::state() {
  const Entries now = HC_TRY(entries());
  return state_of(now);
}

Result<std::optional<BootEntry>> SystemdBootControl::entry(Slot slot) {
  const Entries now = HC_TRY(entries());
  const auto& name = now.of_slot.at(index(slot));
  if (!name) return std::optional<BootEntry>();
  const std::string text = HC_TRY(read_file(directory() / name->file(), 64 << 10));
  auto entry = parse_entry(text, EntryStyle::bls).in((directory() / name->file()).string());
  if (!entry) return std::move(entry).error();
  return std::optional(std::move(entry).value());
}

Status SystemdBootControl::install_entry(Slot slot, const BootEntry& entry) {
  const std::string text = HC_TRY(format_entry(entry, EntryStyle::bls));
  const Entries now = HC_TRY(entries());
  HC_TRY(make_dirs(directory()));
  // The first entry of a node is its confirmed one; any later slot stays idle until it is armed.
  const EntryName fresh{now.of_slot.at(index(other(slot))) ? 0U : 1U, slot, std::nullopt, 0};
  const EntryName name = now.of_slot.at(index(slot)).value_or(fresh);
  HC_TRY(write_atomically(directory() / name.file(), text));
  return settle(boot_);
}

Status SystemdBootControl::remove_entry(Slot slot) {
  const Entries now = HC_TRY(entries());
  HC_TRY(may_remove(state_of(now), slot));
  for (const std::string& file : HC_TRY(list_dir(directory()))) {
    const std::optional<EntryName> name = EntryName::parse(file);
    if (name && name->slot == slot && ::unlink((directory() / file).c_str()) != 0 && errno != ENOENT)
      return Error::from_errno(errno, "removing " + (directory() / file).string());
  }
  if (now.of_slot.at(index(slot))) HC_TRY(sync_dir(directory()));
  return settle(boot_);
}

Status SystemdBootControl::may_start(Slot slot) {
  const std::optional<BootEntry> known = HC_TRY(entry(slot));
  return files_are_there(boot_, slot, known);
}

Status SystemdBootControl::arm(Slot slot, unsigned tries) {
  const Entries now = HC_TRY(entries());
  HC_TRY(may_arm(state_of(now), slot, tries));
  HC_TRY(may_start(slot));
  HC_TRY(settle(boot_));
  return rename(*now.of_slot.at(index(slot)), {now.highest + 1, slot, tries, 0});
}

Status SystemdBootControl::confirm(Slot slot) {
  HC_TRY(may_start(slot));
  const Entries now = HC_TRY(entries());
  const EntryName& name = *now.of_slot.at(index(slot));
  const auto& rival = now.of_slot.at(index(other(slot)));
  const bool on_top = name.generation > 0 && (!rival || rival->generation < name.generation);
  return rename(name, {on_top ? name.generation : now.highest + 1, slot, std::nullopt, 0});
}

Status SystemdBootControl::disarm() {
  const Entries now = HC_TRY(entries());
  const BootState state = state_of(now);
  if (!state.trial) return ok;
  return rename(*now.of_slot.at(index(*state.trial)), {0, *state.trial, std::nullopt, 0});
}

}  // namespace hc
