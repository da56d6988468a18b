#include "image-tools/checksum_list.h"

#include <fcntl.h>
#include <glib.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "engine/archive/archive.h"
#include "engine/base/handle.h"
#include "engine/base/text.h"

namespace hc {
namespace {

using Level = Finding::Level;
using Checksum = Handle<GChecksum, g_checksum_free>;

constexpr std::uint64_t kListLimit = 32 << 20;
constexpr std::size_t kDigits = 32;

struct Line {
  std::string digest;
  std::string path;  // below the root
};

// md5sum(1) writes a line whose name holds a backslash or line end with a backslash before it, and these as \\ \n \r.
Result<std::string> unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      plain += text[i];
      continue;
    }
    const char next = ++i < text.size() ? text[i] : '\0';
    if (next != '\\' && next != 'n' && next != 'r') return Error(Code::invalid, "holds a stray backslash");
    plain += next == 'n' ? '\n' : next == 'r' ? '\r' : '\\';
  }
  return plain;
}

Result<Line> parse_line(std::string_view text) {
  const bool escaped = text.starts_with('\\');
  if (escaped) text.remove_prefix(1);
  const auto is_hex = [](char c) { return g_ascii_isxdigit(c) != 0; };
  const bool good = text.size() > kDigits + 2 && std::all_of(text.begin(), text.begin() + kDigits, is_hex) &&
                    text[kDigits] == ' ' && (text[kDigits + 1] == ' ' || text[kDigits + 1] == '*');
  if (!good) return Error(Code::invalid, "is not `CHECKSUM  PATH`, as md5sum writes it");
  Line line;
  line.digest = text.substr(0, kDigits);
  std::transform(line.digest.begin(), line.digest.end(), line.digest.begin(), g_ascii_tolower);
  std::string name(text.substr(kDigits + 2));
  if (escaped) name = HC_TRY(unescaped(name));
  line.path = HC_TRY(member_path(name));
  if (line.path.empty()) return Error(Code::invalid, "names no file");
  return line;
}

std::map<std::string, std::string> read_list(const std::string& text, Findings& findings) {
  std::map<std::string, std::string> digests;
  std::vector<std::string> lines = split(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string where = std::string(kChecksumList) + ":" + std::to_string(i + 1);
    const auto line = parse_line(lines[i]);
    if (!line) {
      findings.push_back({Level::error, where, line.error().text()});
    } else if (!digests.emplace(line->path, line->digest).second) {
      findings.push_back({Level::error, where, "names " + quote(line->path) + " a second time"});
    }
  }
  if (lines.empty()) findings.push_back({Level::error, kChecksumList, "is empty: every file must stand in it"});
  return digests;
}

Result<std::string> md5_of(const fs::path& file) {
  const UniqueFd in(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!in) return Error::from_errno(errno, "opening it");
  const Checksum checksum(g_checksum_new(G_CHECKSUM_MD5));
  std::array<unsigned char, 64 << 10> buffer{};
  for (;;) {
    const ssize_t got = ::read(in.get(), buffer.data(), buffer.size());
    if (got < 0) return Error::from_errno(errno, "reading it");
    if (got == 0) return std::string(g_checksum_get_string(checksum.get()));
    g_checksum_update(checksum.get(), buffer.data(), got);
  }
}

// Compares one regular file, and takes it from the list.
void check_file(const fs::path& tree, const std::string& path, std::map<std::string, std::string>& digests,
                Findings& findings) {
  const auto listed = digests.find(path);
  if (listed == digests.end()) {
    findings.push_back({Level::error, path, "does not stand in " + std::string(kChecksumList)});
    return;
  }
  const auto digest = md5_of(tree / path);
  if (!digest) {
    findings.push_back({Level::error, path, digest.error().text()});
  } else if (*digest != listed->second) {
    findings.push_back({Level::error, path, "has another checksum than " + std::string(kChecksumList) + " says"});
  }
  digests.erase(listed);
}

}  // namespace

Findings check_checksums(const fs::path& tree) {
  std::error_code error;
  if (!fs::is_regular_file(fs::symlink_status(tree / kChecksumList, error)))
    return {{Level::error, kChecksumList, "is missing: every file of the archive must stand in it"}};
  const auto text = read_file(tree / kChecksumList, kListLimit);
  if (!text) return {{Level::error, kChecksumList, text.error().text()}};
  Findings findings;
  std::map<std::string, std::string> digests = read_list(*text, findings);
  digests.erase(kChecksumList);  // written while its own checksum was taken
  fs::recursive_directory_iterator it(tree, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    const std::string path = it->path().lexically_relative(tree).string();
    if (path != kChecksumList && fs::is_regular_file(it->symlink_status())) check_file(tree, path, digests, findings);
  }
  if (error) findings.push_back({Level::error, "", "reading the tree: " + error.message()});
  for (const auto& [path, digest] : digests)
    findings.push_back({Level::error, kChecksumList, "names " + quote(path) + ", which is no file of the payload"});
  return findings;
}

}  // namespace hc
