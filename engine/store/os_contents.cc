#include "engine/store/os_contents.h"

#include <array>
#include <functional>
#include <map>
#include <set>

#include "engine/base/text.h"

namespace hc {
namespace {

constexpr const char* kModules = "usr/lib/modules";
constexpr const char* kArguments = "usr/lib/honeycomb/kargs.d";

// The version inside an x86 kernel (boot protocol: "HdrS" at 0x202, the offset of the text at 0x20e); empty for others.
Result<std::string> version_in_kernel(const Repository& repository, const CommitEntry& kernel) {
  std::string version;
  HC_TRY(read_pieces(repository, kernel, [&](std::string_view head) {
    if (head.size() < 0x210 || head.substr(0x202, 4) != "HdrS") return false;
    const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(head[at])); };
    const std::size_t start = 0x200 + byte(0x20e) + (byte(0x20f) << 8U);
    if (start < head.size()) version = head.substr(start, head.substr(start).find_first_of(std::string_view(" \0", 2)));
    return false;
  }));
  return version;
}

// The module directories that an uncompressed initramfs holds. A compressed one cannot be looked into here.
Result<std::set<std::string>> versions_in_initramfs(const Repository& repository, const CommitEntry& initramfs) {
  constexpr std::string_view kMark = "lib/modules/";
  constexpr std::size_t kLongest = 256;  // a name on the border of two pieces must not be cut
  std::set<std::string> versions;
  std::string window;
  HC_TRY(read_pieces(repository, initramfs, [&](std::string_view piece) {
    if (window.empty() && !piece.starts_with("07070")) return false;
    window.append(piece);
    for (std::size_t at = 0; (at = window.find(kMark, at)) != std::string::npos; at += kMark.size()) {
      const std::size_t start = at + kMark.size();
      const std::size_t end =
          window.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_~", start);
      // Only what goes on below it is a module directory; the word alone may stand in any script.
      if (end != std::string::npos && end > start && window[end] == '/')
        versions.insert(window.substr(start, end - start));
    }
    window.erase(0, window.size() > kLongest ? window.size() - kLongest : 0);
    return true;
  }));
  return versions;
}

// The files directly in a directory of the commit, by name.
Result<std::map<std::string, CommitEntry>> files_in(const Repository& repository, const Commit& commit,
                                                    const std::string& directory) {
  std::map<std::string, CommitEntry> files;
  HC_TRY(CommitWalk(repository.raw(), StopToken()).run(commit, directory, [&](const CommitEntry& entry) -> Status {
    const fs::path below = fs::path(entry.path).lexically_relative(directory);
    if (!entry.is_directory && std::distance(below.begin(), below.end()) == 1) files.emplace(below.string(), entry);
    return ok;
  }));
  return files;
}

Status find_kernel(const Repository& repository, const Commit& commit, OsContents& contents) {
  std::map<std::string, CommitEntry> kernels;
  HC_TRY(CommitWalk(repository.raw(), StopToken()).run(commit, kModules, [&](const CommitEntry& entry) -> Status {
    const fs::path below = fs::path(entry.path).lexically_relative(kModules);
    if (!entry.is_directory && below.filename() == "vmlinuz" && std::distance(below.begin(), below.end()) == 2)
      kernels.emplace(below.parent_path().string(), entry);
    return ok;
  }));
  if (kernels.size() != 1)
    return Error(Code::invalid, "an OS version needs one kernel, /usr/lib/modules/VERSION/vmlinuz; this one has " +
                                    std::to_string(kernels.size()));
  contents.kernel_version = kernels.begin()->first;
  contents.kernel = kernels.begin()->second;
  const std::string directory = std::string(kModules) + "/" + contents.kernel_version;
  contents.initramfs = HC_TRY(CommitWalk(repository.raw(), StopToken()).find(commit, directory + "/initramfs.img"));
  return ok;
}

Status versions_agree(const Repository& repository, const OsContents& contents) {
  const std::string inside = HC_TRY(version_in_kernel(repository, contents.kernel));
  if (!inside.empty() && inside != contents.kernel_version)
    return Error(Code::invalid, "the kernel is version " + quote(inside) + ", but its modules are those of " +
                                    quote(contents.kernel_version));
  if (!contents.initramfs) return ok;
  const std::set<std::string> versions = HC_TRY(versions_in_initramfs(repository, *contents.initramfs));
  if (versions.empty() || versions.contains(contents.kernel_version)) return ok;
  return Error(Code::invalid, "the initramfs holds modules of " + quote(*versions.begin()) + ", but the kernel is " +
                                  quote(contents.kernel_version))
      .with_hint("build the initramfs of the payload anew");
}

Result<std::string> os_name(const Repository& repository, const Commit& commit) {
  std::optional<std::string> text;
  for (const char* path : {"usr/lib/os-release", "usr/etc/os-release"})
    if (!text) text = HC_TRY(repository.read_file(commit, path));
  std::map<std::string, std::string> values;
  for (const std::string& line : split(text.value_or(""), '\n')) {
    const std::size_t equals = line.find('=');
    if (equals == std::string::npos) continue;
    std::string value(trimmed(line.substr(equals + 1)));
    const bool quoted = value.size() >= 2 && value.front() == value.back() && (value[0] == '"' || value[0] == '\'');
    values[line.substr(0, equals)] = quoted ? value.substr(1, value.size() - 2) : value;
  }
  for (const char* key : {"PRETTY_NAME", "ID"})
    if (!values[key].empty()) return values[key];
  return Error(Code::invalid, "the OS version has no /usr/lib/os-release with PRETTY_NAME or ID");
}

}  // namespace

Status read_pieces(const Repository& repository, const CommitEntry& file,
                   const std::function<bool(std::string_view piece)>& use) {
  GRef<GInputStream> stream;
  GErr err;
  if (!ostree_repo_load_file(repository.raw(), file.checksum.c_str(), out(stream), nullptr, nullptr, nullptr, err))
    return failed(err, "reading " + quote(file.path));
  if (!stream) return Error(Code::invalid, quote(file.path) + " is no regular file");
  std::string buffer(1 << 20, '\0');
  while (true) {
    GErr read_err;
    gsize size = 0;
    if (!g_input_stream_read_all(stream.get(), buffer.data(), buffer.size(), &size, nullptr, read_err))
      return failed(read_err, "reading " + quote(file.path));
    if (size == 0 || !use({buffer.data(), size})) return ok;
  }
}

Result<KernelArguments> read_default_arguments(const Repository& repository, const Commit& commit) {
  KernelArguments all;
  const std::map<std::string, CommitEntry> files = HC_TRY(files_in(repository, commit, kArguments));
  for (const auto& [name, entry] : files) {
    if (!name.ends_with(".conf")) continue;
    const std::optional<std::string> text = HC_TRY(repository.read_file(commit, entry.path));
    KernelArguments arguments = HC_TRY(parse_default_arguments(text.value_or("")).in("/" + entry.path));
    std::move(arguments.begin(), arguments.end(), std::back_inserter(all));
  }
  return all;
}

Result<OsContents> read_os_contents(const Repository& repository, const Commit& commit) {
  OsContents contents;
  HC_TRY(find_kernel(repository, commit, contents));
  contents.default_arguments = HC_TRY(read_default_arguments(repository, commit));
  contents.name = HC_TRY(os_name(repository, commit));
  return contents;
}

Status check_os_contents(const Repository& repository, const Commit& commit, const OsContents& contents) {
  HC_TRY(versions_agree(repository, contents));
  const auto etc = HC_TRY(CommitWalk(repository.raw(), StopToken()).find(commit, "etc"));
  if (etc) return Error(Code::invalid, "the OS version has its configuration in /etc; it belongs in /usr/etc");
  return ok;
}

}  // namespace hc
