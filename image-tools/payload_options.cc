#include "image-tools/payload_options.h"

#include <glib.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>

#include "engine/base/ids.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kMostDays = 36'500;

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<std::int64_t> date_of(const std::string& text, const char* format) {
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), format, &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  const std::int64_t seconds = ::timegm(&parts);
  // strptime() takes 31 February, timegm() makes it a day in March.
  return iso_time(seconds).starts_with(text.substr(0, 10)) ? std::optional(seconds) : std::nullopt;
}

std::int64_t newest_file(const fs::path& tree) {
  std::int64_t newest = 0;
  std::error_code error;
  fs::recursive_directory_iterator it(tree, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    struct stat info {};
    if (::lstat(it->path().c_str(), &info) == 0 && S_ISREG(info.st_mode))
      newest = std::max<std::int64_t>(newest, info.st_mtime);
  }
  return newest;
}

}  // namespace

Result<std::int64_t> parse_expiry(const std::string& text, std::int64_t built_at) {
  if (text.starts_with('+') && text.ends_with('d')) {
    const auto days = whole_number(text.substr(1, text.size() - 2));
    if (days && *days > 0 && *days <= kMostDays) return built_at + *days * kDay;
  }
  for (const char* format : {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"})
    if (const auto seconds = date_of(text, format)) return *seconds;
  return Error(Code::invalid, quote(text) + " is no time of expiry")
      .with_hint("write 2027-03-31, 2027-03-31T12:00:00Z or +90d (days after the build)");
}

Result<std::map<std::string, std::string>> parse_requirements(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> versions;
  for (const std::string& text : texts) {
    const std::size_t sign = text.find('=');
    if (sign == std::string::npos)
      return Error(Code::invalid, quote(text) + " is no requirement: TARGET=VERSION is wanted");
    const Target target = HC_TRY(Target::parse(text.substr(0, sign)).in("--requires"));
    const Version version = HC_TRY(Version::parse(text.substr(sign + 1)).in("--requires"));
    if (!versions.emplace(target.name(), version.text()).second)
      return Error(Code::invalid, "--requires names " + quote(target.name()) + " twice");
  }
  return versions;
}

Result<std::int64_t> build_time(const std::optional<std::int64_t>& chosen, const fs::path& tree) {
  if (chosen) return *chosen;
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr && *epoch != '\0') {
    const auto seconds = whole_number(epoch);
    if (!seconds)
      return Error(Code::invalid, "SOURCE_DATE_EPOCH is " + quote(epoch) + ", which is no number of seconds");
    return *seconds;
  }
  return newest_file(tree);
}

Result<std::string> read_changelog(const fs::path& path) {
  std::string text = HC_TRY(read_file(path, 64 << 10));
  if (g_utf8_validate(text.data(), static_cast<gssize>(text.size()), nullptr) == 0)
    return Error(Code::invalid, path.string() + " is no valid UTF-8 text");
  return text;
}

}  // namespace hc
