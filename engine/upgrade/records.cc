#include "engine/upgrade/records.h"

#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "engine/base/log.h"

namespace hc {
namespace {

constexpr std::string_view kSuffix = ".json";

// Reading must go on whatever stands in the file's place: a directory, zero bytes, a file cut in half.
std::optional<Json> good_document(const fs::path& path) {
  const auto text = read_file_if_exists(path);
  if (!text || !*text) return std::nullopt;
  auto json = parse_json(**text);
  if (!json || !json.value().is_object()) return std::nullopt;
  return std::move(json).value();
}

fs::path last_copy(const fs::path& path) { return path.string() + ".last"; }

Status set_aside(const fs::path& path) {
  const fs::path aside = path.string() + ".bad-" + std::to_string(std::time(nullptr));
  if (::rename(path.c_str(), aside.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "setting the damaged " + path.string() + " aside");
  log(Level::warning, path.string() + " was damaged; it is kept as " + aside.string());
  return ok;
}

}  // namespace

Result<std::optional<Json>> RecordDir::read(const std::string& name) {
  const fs::path path = file(name);
  std::error_code none;
  if (!fs::exists(fs::symlink_status(path, none))) return std::optional<Json>();
  if (auto json = good_document(path)) return json;
  HC_TRY(set_aside(path));
  std::optional<Json> last = good_document(last_copy(path));
  if (last) (*last)["recovered"] = true;
  return last;
}

Status RecordDir::write(const std::string& name, const Json& document) {
  const fs::path path = file(name);
  HC_TRY(make_dirs(path.parent_path(), 0755));
  // The copy is a hard link to the old file: no second write, and rename() below leaves it alone.
  const fs::path last = last_copy(path);
  ::unlink(last.c_str());
  if (::link(path.c_str(), last.c_str()) != 0 && errno != ENOENT)
    return Error::from_errno(errno, "keeping a copy of " + path.string());
  return write_atomically(path, dump_json(document));
}

Status RecordDir::remove(const std::string& name) {
  const fs::path path = file(name);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return Error::from_errno(errno, "removing " + path.string());
  ::unlink(last_copy(path).c_str());
  std::error_code none;
  if (!fs::is_directory(path.parent_path(), none)) return ok;
  return sync_dir(path.parent_path());
}

Result<std::vector<std::string>> RecordDir::list(const std::string& folder) {
  std::vector<std::string> found;
  for (const std::string& entry : HC_TRY(list_dir(directory_ / folder))) {
    if (!entry.ends_with(kSuffix) || entry.starts_with(".")) continue;
    found.push_back(folder + "/" + entry.substr(0, entry.size() - kSuffix.size()));
  }
  return found;
}

}  // namespace hc
