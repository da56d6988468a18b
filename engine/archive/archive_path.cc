#include <glib.h>

#include "engine/archive/archive.h"
#include "engine/base/text.h"

namespace hc {
namespace {

// What every file system can hold, and below the folder of a slot every system call.
constexpr std::size_t kLongestName = 255;
constexpr std::size_t kLongestPath = 2048;

}  // namespace

Result<std::string> member_path(std::string_view name) {
  const auto refuse = [&](const std::string& why) { return Error(Code::invalid, "member " + quote(name) + " " + why); };
  if (name.empty()) return refuse("has no name");
  if (g_utf8_validate(name.data(), static_cast<gssize>(name.size()), nullptr) == 0)
    return refuse("has a name that is no valid UTF-8, which not every machine could store");
  if (name.starts_with('/')) return refuse("has an absolute path: it would be written outside of the payload");
  std::string_view rest = name;
  while (rest.starts_with("./")) rest.remove_prefix(2);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty() || rest == ".") return std::string();
  if (rest.size() > kLongestPath) return refuse("has a path of more than " + std::to_string(kLongestPath) + " bytes");
  for (const std::string& part : split(rest, '/')) {
    if (part == "..") return refuse("leaves the payload through `..`");
    if (part.empty() || part == ".") return refuse("has an empty or `.` part in its path");
    if (part.size() > kLongestName)
      return refuse("has a name of more than " + std::to_string(kLongestName) + " bytes, which no file system holds");
  }
  return std::string(rest);
}

}  // namespace hc
