#include "bootloader/entry_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "bootloader/rules.h"
#include "engine/base/text.h"

namespace hc {
namespace {

// Kernels take 2048 bytes on x86 and arm64; the bootloader adds its reason to ours.
constexpr std::size_t kLongestCommandLine = 1900;
constexpr std::size_t kLongestField = 1024;

// GRUB's `linux` puts a backslash before quotes and backslashes, and neither GRUB nor U-Boot have an escape inside
// single quotes: these characters cannot reach the kernel unchanged.
bool passes(char c) { return c >= ' ' && c <= '~' && c != '\'' && c != '"' && c != '\\'; }

Status check_field(std::string_view what, const std::string& value, std::size_t longest) {
  const auto bad = std::find_if_not(value.begin(), value.end(), passes);
  if (bad != value.end())
    return Error(Code::invalid, "the bootloader cannot pass on the " + std::string(what) + " " + quote(value) +
                                    ": the character " + quote(std::string_view(&*bad, 1)) + " cannot be quoted");
  if (value.size() > longest)
    return Error(Code::invalid, "the " + std::string(what) + " of the boot entry has " + std::to_string(value.size()) +
                                    " bytes, above the " + std::to_string(longest) + " that are passed on whole");
  return ok;
}

Status check_path(std::string_view what, const std::string& value) {
  HC_TRY(check_field(what, value, kLongestField));
  const fs::path path(value);
  const bool climbs = std::find(path.begin(), path.end(), "..") != path.end();
  if (!path.is_absolute() || climbs || value.find(' ') != std::string::npos)
    return Error(Code::invalid, "the " + std::string(what) + " " + quote(value) +
                                    " of the boot entry is no path: `/` at its start, no blanks, no `..`");
  return ok;
}

Status check_entry(const BootEntry& entry) {
  HC_TRY(check_field("title", entry.title, kLongestField));
  HC_TRY(check_path("kernel", entry.kernel));
  if (!entry.initramfs.empty()) HC_TRY(check_path("initramfs", entry.initramfs));
  // GRUB replaces a word like `*` by the names of its devices.
  const std::size_t wildcard = entry.arguments.find_first_of("*?");
  if (wildcard != std::string::npos)
    return Error(Code::invalid, "the bootloader cannot pass on the kernel command line " + quote(entry.arguments) +
                                    ": it may expand the character " + quote(entry.arguments.substr(wildcard, 1)));
  return check_field("kernel command line", entry.arguments, kLongestCommandLine);
}

struct Field {
  std::string_view name;
  std::string_view bls_name;
  std::string BootEntry::*value;
};
constexpr std::array kFields = {
    Field{"hc_title", "title", &BootEntry::title},
    Field{"hc_kernel", "linux", &BootEntry::kernel},
    Field{"hc_initrd", "initrd", &BootEntry::initramfs},
    Field{"hc_args", "options", &BootEntry::arguments},
};

std::string opening(const Field& field, EntryStyle style) {
  if (style == EntryStyle::bls) return std::string(field.bls_name) + " ";
  return style == EntryStyle::grub ? "set " + std::string(field.name) + "='" : std::string(field.name) + "=";
}
std::string_view closing(EntryStyle style) { return style == EntryStyle::grub ? "'\n" : "\n"; }
// In the Boot Loader Specification a key without a value is not written.
bool is_left_out(std::string_view value, EntryStyle style) { return style == EntryStyle::bls && value.empty(); }

// Takes the line of `field` from the front of `text`; nothing where that line is another one.
std::optional<std::string> take_line(std::string_view& text, const Field& field, EntryStyle style) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = text.substr(0, end + 1);
  const std::string start = opening(field, style);
  if (line.substr(0, start.size()) != start) return std::nullopt;
  line.remove_prefix(start.size());
  const std::string_view last = closing(style);
  if (line.size() < last.size() || line.substr(line.size() - last.size()) != last) return std::nullopt;
  text.remove_prefix(end + 1);
  return std::string(line.substr(0, line.size() - last.size()));
}

}  // namespace

Result<std::string> format_entry(const BootEntry& entry, EntryStyle style) {
  HC_TRY(check_entry(entry));
  std::string text;
  for (const Field& field : kFields) {
    const std::string& value = entry.*field.value;
    if (!is_left_out(value, style)) text += opening(field, style) + value + std::string(closing(style));
  }
  return text;
}

Result<BootEntry> parse_entry(std::string_view text, EntryStyle style) {
  BootEntry entry;
  for (const Field& field : kFields) {
    const std::optional<std::string> value = take_line(text, field, style);
    if (!value && style != EntryStyle::bls)
      return Error(Code::invalid, "the boot entry was changed by hand: no good line for " + std::string(field.name));
    entry.*field.value = value.value_or("");
  }
  if (!text.empty()) return Error(Code::invalid, "the boot entry was changed by hand: it has lines too many");
  HC_TRY(check_entry(entry));
  return entry;
}

fs::path EntryFiles::path(Slot slot) const { return boot_ / "honeycomb" / name(slot) / file_; }

Result<std::optional<BootEntry>> EntryFiles::read(Slot slot) const {
  const std::optional<std::string> text = HC_TRY(read_file_if_exists(path(slot), 64 << 10));
  if (!text) return std::optional<BootEntry>();
  auto entry = parse_entry(*text, style_).in(path(slot).string());
  if (!entry) return std::move(entry).error();
  return std::optional(std::move(entry).value());
}

Status EntryFiles::write(Slot slot, const BootEntry& entry) const {
  const std::string text = HC_TRY(format_entry(entry, style_));
  HC_TRY(make_dirs(path(slot).parent_path()));
  return write_atomically(path(slot), text);
}

Status EntryFiles::remove(Slot slot) const {
  if (::unlink(path(slot).c_str()) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return ok;
    return Error::from_errno(errno, "removing " + path(slot).string());
  }
  return sync_dir(path(slot).parent_path());
}

Status EntryFiles::bootable(Slot slot) const {
  const std::optional<BootEntry> entry = HC_TRY(read(slot));
  return files_are_there(boot_, slot, entry);
}

Status files_are_there(const fs::path& boot, Slot slot, const std::optional<BootEntry>& entry) {
  if (!entry) return no_entry(slot);
  for (const std::string& file : {entry->kernel, entry->initramfs}) {
    std::error_code error;
    if (!file.empty() && !fs::is_regular_file(boot / fs::path(file).relative_path(), error))
      return Error(Code::invalid, "the boot entry of slot " + std::string(name(slot)) + " names " + quote(file) +
                                      ", which is not there below " + boot.string());
  }
  return ok;
}

}  // namespace hc
