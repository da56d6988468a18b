#include "image-tools/os_tree.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <set>

#include "engine/base/text.h"
#include "image-tools/peripheral_tree.h"

namespace hc {
namespace {

using Level = Finding::Level;

constexpr std::uint64_t kKernelLimit = 1 << 30;

struct Link {
  const char* name;
  const char* target;
  bool may_hold_files;  // in a plain tree; they are left out
};
constexpr std::array kLinks = {
    Link{"home", "var/home", false},         Link{"root", "var/roothome", true},
    Link{"srv", "var/srv", false},           Link{"opt", "var/opt", false},
    Link{"mnt", "var/mnt", false},           Link{"usr/local", "../var/usrlocal", false},
    Link{"ostree", "sysroot/ostree", false}, Link{"tmp", "sysroot/tmp", true},
};
constexpr std::array kDirectories = {"sysroot", "boot", "dev", "media", "proc", "run", "sys", "var"};

fs::file_type type_of(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type();
}
bool is_real_directory(const fs::path& path) { return type_of(path) == fs::file_type::directory; }
bool is_real_file(const fs::path& path) { return type_of(path) == fs::file_type::regular; }

// Counts what is not a directory at and below `path`.
std::size_t count_files(const fs::path& path) {
  std::error_code error;
  std::size_t count = 0;
  fs::recursive_directory_iterator it(path, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error))
    count += is_real_directory(it->path()) ? 0 : 1;
  return count;
}

void check_release(const fs::path& tree, Findings& findings) {
  constexpr const char* kPath = "usr/lib/os-release";
  if (!is_real_file(tree / kPath)) {
    findings.push_back({Level::error, kPath, "is missing: the boot menu is named after it"});
    return;
  }
  const auto text = read_file(tree / kPath, 1 << 20);
  const std::vector<std::string> lines = text ? split(*text, '\n') : std::vector<std::string>();
  const bool named = std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    return (line.starts_with("ID=") && line.size() > 3) || (line.starts_with("PRETTY_NAME=") && line.size() > 12);
  });
  if (!named) findings.push_back({Level::error, kPath, "says neither ID nor PRETTY_NAME; libostree wants one of them"});
}

// The release that a kernel image says it is: from the header of x86's boot protocol (Documentation/arch/x86/boot.rst:
// "HdrS" at 0x202, at 0x20e where its version string stands, less 0x200), else from an uncompressed banner.
std::optional<std::string> kernel_release(std::string_view image) {
  std::size_t start = std::string_view::npos;
  if (image.size() > 0x210 && image.substr(0x202, 4) == "HdrS") {
    const auto low = static_cast<unsigned char>(image[0x20e]);
    const auto high = static_cast<unsigned char>(image[0x20f]);
    start = 0x200 + static_cast<std::size_t>(low) + (static_cast<std::size_t>(high) << 8);
  } else if (const std::size_t banner = image.find("Linux version "); banner != std::string_view::npos) {
    start = banner + std::string_view("Linux version ").size();
  }
  if (start >= image.size()) return std::nullopt;
  const std::string_view text = image.substr(start, 200);
  return std::string(text.substr(0, text.find_first_of(std::string_view(" \0", 2))));
}

// The versions of the modules in an initramfs that is stored uncompressed; none where it cannot be looked into.
std::set<std::string> initramfs_versions(std::string_view image) {
  constexpr std::string_view kModules = "lib/modules/";
  std::set<std::string> versions;
  for (std::size_t at = image.find(kModules); at != std::string_view::npos; at = image.find(kModules, at)) {
    at += kModules.size();
    const std::string_view text = image.substr(at, 200);
    const std::string version(text.substr(0, text.find_first_of(std::string_view("/\0\n", 3))));
    if (!version.empty() && version.front() >= '0' && version.front() <= '9' && version == printable(version))
      versions.insert(version);
  }
  return versions;
}

void check_kernel_versions(const fs::path& directory, const std::string& where, Findings& findings) {
  const std::string kernel = directory.filename().string();
  if (const auto image = read_file(directory / "vmlinuz", kKernelLimit)) {
    const auto release = kernel_release(*image);
    if (release && *release != kernel)
      findings.push_back({Level::error, where + "/vmlinuz",
                          "is the kernel " + quote(*release) + ", but the modules are those of " + quote(kernel)});
  }
  if (const auto image = read_file(directory / "initramfs.img", kKernelLimit)) {
    const std::set<std::string> versions = initramfs_versions(*image);
    if (!versions.empty() && !versions.contains(kernel))
      findings.push_back({Level::error, where + "/initramfs.img",
                          "holds the modules of " + quote(*versions.begin()) + ", the kernel is " + quote(kernel)});
  }
}

std::string check_kernel(const fs::path& tree, Findings& findings) {
  const std::string modules = "usr/lib/modules";
  std::vector<std::string> kernels;
  if (const auto names = list_dir(tree / modules))
    std::copy_if(names->begin(), names->end(), std::back_inserter(kernels),
                 [&](const std::string& name) { return is_real_directory(tree / modules / name); });
  if (kernels.size() != 1) {
    const std::string found = kernels.empty() ? "no kernel" : std::to_string(kernels.size()) + " kernels";
    findings.push_back({Level::error, modules,
                        "holds " + found +
                            "; exactly one directory usr/lib/modules/KVER with vmlinuz and "
                            "initramfs.img is wanted (`hc-image tree` makes it so)"});
    return {};
  }
  const std::string where = modules + "/" + kernels.front();
  bool complete = true;
  for (const char* name : {"vmlinuz", "initramfs.img"}) {
    if (is_real_file(tree / where / name)) continue;
    complete = false;
    findings.push_back({Level::error, where + "/" + name, "is missing: the node boots from there, not from /boot"});
  }
  if (complete) check_kernel_versions(tree / where, where, findings);
  return kernels.front();
}

void check_layout(const fs::path& tree, Findings& findings) {
  const bool plain = is_real_directory(tree / "etc");
  const bool converted = is_real_directory(tree / "usr/etc");
  if (!is_real_directory(tree / "usr")) findings.push_back({Level::error, "usr", "is no directory"});
  if (plain == converted)
    findings.push_back({Level::error, plain ? "usr/etc" : "etc",
                        plain ? "stands beside etc: it must be clear which one is meant" : "is missing"});
  for (const Link& link : kLinks) {
    const fs::file_type type = type_of(tree / link.name);
    if (type == fs::file_type::symlink || type == fs::file_type::not_found) continue;
    const std::size_t files = is_real_directory(tree / link.name) ? count_files(tree / link.name) : 1;
    if (files == 0) continue;
    const std::string count = std::to_string(files) + (files == 1 ? " file" : " files");
    if (link.may_hold_files) {
      findings.push_back({Level::warning, link.name, count + " left out: it is the node's own, in /var"});
    } else {
      findings.push_back({Level::error, link.name,
                          "holds " + count + ", but becomes a link to " + link.target +
                              ", which is the node's own: put them elsewhere below usr"});
    }
  }
}

void check_identity(const fs::path& tree, Findings& findings) {
  for (const char* name : {"var", "boot"})
    if (const std::size_t files = is_real_directory(tree / name) ? count_files(tree / name) : 0; files > 0)
      findings.push_back({Level::warning, name,
                          std::to_string(files) + " files left out: its content is made on the node (tmpfiles.d)"});
  for (const char* etc : {"etc", "usr/etc"}) {
    std::error_code error;
    const fs::path id = tree / etc / "machine-id";
    if (is_real_file(id) && fs::file_size(id, error) > 0)
      findings.push_back({Level::warning, std::string(etc) + "/machine-id", "emptied: each node gets its own"});
    if (const auto names = list_dir(tree / etc / "ssh"))
      for (const std::string& name : *names)
        if (name.starts_with("ssh_host_") && name.ends_with("_key"))
          findings.push_back({Level::warning, std::string(etc) + "/ssh/" + name,
                              "is a secret that everybody who can read the repository would know"});
  }
}

void add_below(const std::string& directory, Findings more, Findings& findings) {
  for (Finding& finding : more) {
    finding.where = directory + (finding.where.empty() ? "" : "/" + finding.where);
    findings.push_back(std::move(finding));
  }
}

// The OS's own hooks, and the peripheral payloads that it carries.
void check_carried(const fs::path& tree, OsTree& result) {
  Findings& findings = result.findings;
  const std::string upgrade = "usr/lib/honeycomb/upgrade";
  const std::string peripherals = "usr/lib/honeycomb/peripherals";
  add_below(upgrade, check_optional_hooks(tree / upgrade), findings);
  const auto names = list_dir(tree / peripherals);
  if (!names) return;
  for (const std::string& name : *names) {
    const std::string where = fs::path(peripherals) / name;
    PeripheralTree carried = check_peripheral_tree(tree / where);
    add_below(where, std::move(carried.findings), findings);
    if (carried.metadata && carried.metadata->target.name() != name)
      findings.push_back(
          {Level::error, where,
           "holds the payload of " + quote(carried.metadata->target.name()) + ": the directory is to have its name"});
    if (carried.metadata) result.carries[name] = carried.metadata->config_version.text();
  }
}

Status make_link(const fs::path& view, const Link& link) {
  const fs::path path = view / link.name;
  if (type_of(path) == fs::file_type::symlink) return ok;
  HC_TRY(remove_tree(path));
  return replace_symlink(path, link.target);
}

Status set_mode(const fs::path& path, mode_t mode) {
  if (::chmod(path.c_str(), mode) != 0) return Error::from_errno(errno, "setting the mode of " + path.string());
  return ok;
}

}  // namespace

OsTree check_os_tree(const fs::path& tree) {
  OsTree result;
  check_release(tree, result.findings);
  result.kernel = check_kernel(tree, result.findings);
  check_layout(tree, result.findings);
  check_identity(tree, result.findings);
  check_carried(tree, result);
  for (Finding& finding : check_entries(tree, emptied_directories())) result.findings.push_back(std::move(finding));
  return result;
}

const std::vector<std::string>& emptied_directories() {
  static const std::vector<std::string> kEmptied = {"boot", "dev", "proc", "run", "sys", "sysroot", "tmp", "var"};
  return kEmptied;
}

Status convert_os_tree(const fs::path& view) {
  if (is_real_directory(view / "etc")) {
    std::error_code error;
    fs::rename(view / "etc", view / "usr/etc", error);
    if (error) return Error::from_errno(error.value(), "moving etc to usr/etc");
  }
  for (const Link& link : kLinks) HC_TRY(make_link(view, link));
  for (const char* name : kDirectories) {
    if (is_real_directory(view / name)) continue;
    HC_TRY(make_dirs(view / name));
    HC_TRY(set_mode(view / name, 0755));
  }
  // Whoever made the tree in a private directory (mktemp) does not mean a root that only root can enter.
  HC_TRY(set_mode(view, 0755));
  return write_atomically(view / "usr/etc/machine-id", "", 0444);
}

}  // namespace hc
