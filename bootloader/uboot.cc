#include "bootloader/uboot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <sstream>

#include "bootloader/boot_dir.h"
#include "bootloader/rules.h"
#include "engine/base/text.h"

namespace hc {
namespace {

std::optional<std::uint64_t> number(std::string_view text) {
  const bool hex = text.substr(0, 2) == "0x" || text.substr(0, 2) == "0X";
  if (hex) text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

constexpr std::uint64_t kLargest = 1 << 20;

Result<EnvArea> parse_area(const std::string& line) {
  std::istringstream words(line);
  std::string device;
  std::string offset;
  std::string size;
  words >> device >> offset >> size;
  const auto at = number(offset);
  const auto bytes = number(size);
  if (!at || !bytes || *bytes <= UbootEnv::kHead || *bytes > kLargest)
    return Error(Code::invalid, quote(line) + " is no area: a device, an offset and a size are wanted");
  return EnvArea{device, *at, *bytes};
}

Result<UniqueFd> open_area(const EnvArea& area, int flags) {
  UniqueFd fd(::open(area.device.c_str(), flags | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return Error::from_errno(errno, "opening " + area.device.string());
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return Error::from_errno(errno, "reading " + area.device.string());
  if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))
    return Error(Code::invalid, area.device.string() + " is neither a file nor a block device")
        .with_hint("raw flash must be erased before it is written: use a program of the board (`custom:`)");
  return fd;
}

Result<std::string> read_area(const UniqueFd& fd, const EnvArea& area) {
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  std::string bytes(area.size, '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got =
        ::pread(fd.get(), bytes.data() + have, bytes.size() - have, static_cast<off_t>(area.offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "reading " + area.device.string());
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

Result<UbootEnv> read_copy(const EnvArea& area) {
  const UniqueFd fd = HC_TRY(open_area(area, O_RDONLY));
  const std::string bytes = HC_TRY(read_area(fd, area));
  if (bytes.size() != area.size) return Error(Code::invalid, "it is shorter than the configuration says");
  return UbootEnv::parse(bytes);
}

}  // namespace

Result<std::array<EnvArea, 2>> parse_fw_env_config(std::string_view text) {
  std::vector<EnvArea> areas;
  for (const std::string& raw : split(text, '\n')) {
    const std::string line(trimmed(raw));
    if (line.empty() || line.front() == '#') continue;
    areas.push_back(HC_TRY(parse_area(line)));
  }
  if (areas.size() != 2)
    return Error(Code::invalid, std::to_string(areas.size()) + " environment areas are named; a switch that a power " +
                                    "cut cannot break needs two (redundant environment)");
  const EnvArea& one = areas[0];
  const EnvArea& two = areas[1];
  const bool apart =
      one.device != two.device || one.offset + one.size <= two.offset || two.offset + two.size <= one.offset;
  if (one.size != two.size || !apart)
    return Error(Code::invalid, "the two environment areas must have one size and not overlap");
  return std::array<EnvArea, 2>{one, two};
}

Result<UbootCopies> read_uboot_env(const fs::path& config) {
  const std::string text = HC_TRY(read_file(config, 64 << 10));
  UbootCopies copies;
  copies.areas = HC_TRY(parse_fw_env_config(text).in(config.string()));
  const Result<UbootEnv> one = read_copy(copies.areas[0]);
  const Result<UbootEnv> two = read_copy(copies.areas[1]);
  if (!one && !two)
    return Error(Code::invalid,
                 "neither copy of U-Boot's environment can be read: " + one.error().text() + "; " + two.error().text())
        .with_hint("let U-Boot write it once with `saveenv`");
  copies.newest = !one || (two && two->newer_than(*one)) ? 1 : 0;
  copies.env = copies.newest == 0 ? *one : *two;
  return copies;
}

Status save_uboot_env(const UbootCopies& copies, const UbootEnv& env) {
  const EnvArea& area = copies.areas.at(1 - copies.newest);
  const std::string bytes = HC_TRY(env.next().serialise(area.size));
  const UniqueFd fd = HC_TRY(open_area(area, O_RDWR));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written =
        ::pwrite(fd.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(area.offset + done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error::from_errno(errno, "writing " + area.device.string());
    done += static_cast<std::size_t>(written);
  }
  if (::fsync(fd.get()) != 0) return Error::from_errno(errno, "syncing " + area.device.string());
  const std::string now = HC_TRY(read_area(fd, area));
  if (now != bytes) return Error(Code::io, area.device.string() + " does not read back as it was written");
  return ok;
}

Status UbootControl::check() {
  const auto usable = [this]() -> Status {
    const UbootCopies copies = HC_TRY(read_uboot_env(config_));
    for (const EnvArea& area : copies.areas) HC_TRY(open_area(area, O_RDWR));
    return ok;
  };
  return usable().in("boot attempts cannot be counted");
}

Result<BootState> UbootControl::state() {
  const UbootCopies copies = HC_TRY(read_uboot_env(config_));
  // boot.cmd too takes slot a where nothing is said.
  return read_switch([&](const char* name) { return copies.env.get(name); }).state;
}

Status UbootControl::install_entry(Slot slot, const BootEntry& entry) {
  HC_TRY(entries_.write(slot, entry));
  return settle(boot_);
}

Status UbootControl::remove_entry(Slot slot) {
  const BootState now = HC_TRY(state());
  HC_TRY(may_remove(now, slot));
  HC_TRY(entries_.remove(slot));
  return settle(boot_);
}

Status UbootControl::store(const BootState& state) {
  UbootCopies copies = HC_TRY(read_uboot_env(config_));
  for (const auto& [name, value] : variables_of(state)) copies.env.set(name, value);
  return save_uboot_env(copies, copies.env);
}

Status UbootControl::arm(Slot slot, unsigned tries) {
  const BootState now = HC_TRY(state());
  HC_TRY(may_arm(now, slot, tries));
  HC_TRY(entries_.bootable(slot));
  HC_TRY(settle(boot_));
  return store({now.confirmed, slot, tries});
}

Status UbootControl::confirm(Slot slot) {
  HC_TRY(entries_.bootable(slot));
  return store({slot, std::nullopt, 0});
}

Status UbootControl::disarm() {
  const BootState now = HC_TRY(state());
  return store({now.confirmed, std::nullopt, 0});
}

}  // namespace hc
