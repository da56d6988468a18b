#include "engine/upgrade/remotes.h"

#include <map>

#include "engine/base/handle.h"
#include "engine/base/ids.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::string_view kSuffix = ".conf";

Result<std::string> url_in(const fs::path& path) {
  const std::string content = HC_TRY(read_file(path, 64 << 10));
  const KeyFile file(g_key_file_new());
  GErr err;
  if (!g_key_file_load_from_data(file.get(), content.c_str(), content.size(), G_KEY_FILE_NONE, err))
    return err.as(Code::invalid, path.string());
  const GText url(g_key_file_get_string(file.get(), "remote", "url", err));
  if (!url) return err.as(Code::invalid, path.string());
  return std::string(url.get());
}

Result<std::string> url_of(const std::string& place) {
  for (const std::string_view scheme : {"http://", "https://", "file:///"})
    if (place.starts_with(scheme) && place.size() > scheme.size()) return place;
  if (place.find("://") != std::string::npos)
    return Error(Code::invalid,
                 quote(place) + " has a scheme that payloads cannot come by: http, https or a path are wanted");
  std::error_code error;
  const fs::path path = fs::canonical(place, error);
  if (error) return Error::from_errno(error.value(), "opening the repository " + place);
  return "file://" + path.string();
}

}  // namespace

Result<std::vector<Remote>> Remotes::all() const {
  std::map<std::string, fs::path> files;
  for (const fs::path& directory : {lib_, etc_}) {
    for (const std::string& entry : HC_TRY(list_dir(directory)))
      if (entry.ends_with(kSuffix)) files[entry.substr(0, entry.size() - kSuffix.size())] = directory / entry;
  }
  std::vector<Remote> remotes;
  for (const auto& [name, path] : files) {
    std::error_code error;
    if (fs::is_empty(path, error)) continue;  // masks the one that the OS brings
    std::string url = HC_TRY(url_in(path));
    remotes.push_back({name, std::move(url)});
  }
  return remotes;
}

Status Remotes::add(const std::string& name, const std::string& place) const {
  HC_TRY(Target::parse(name).in("the remote's name"));
  const std::string url = HC_TRY(url_of(place));
  for (const Remote& remote : HC_TRY(all())) {
    if (remote.name == name && remote.url != url)
      return Error(Code::invalid, "there is a remote " + name + " already, at " + quote(remote.url))
          .with_hint("`hc-os remote remove " + name + "` first");
  }
  if (url.find('\n') != std::string::npos) return Error(Code::invalid, "an address has no line breaks");
  HC_TRY(make_dirs(etc_, 0755));
  return write_atomically(etc_ / (name + std::string(kSuffix)), "[remote]\nurl=" + url + "\n");
}

Status Remotes::remove(const std::string& name) const {
  HC_TRY(Target::parse(name).in("the remote's name"));
  const std::string file = name + std::string(kSuffix);
  std::error_code error;
  if (fs::exists(lib_ / file, error)) return write_atomically(etc_ / file, "");
  if (!fs::exists(etc_ / file, error)) return Error(Code::invalid, "there is no remote " + name);
  HC_TRY(remove_tree(etc_ / file));
  return sync_dir(etc_);
}

}  // namespace hc
