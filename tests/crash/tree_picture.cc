#include "tests/crash/tree_picture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include "engine/base/handle.h"

namespace hc {
namespace {

using OpenDirectory = Handle<DIR, closedir>;

Seen unreadable(int number) { return {'!', 0, 0, 0, std::strerror(number)}; }

class Walk {
 public:
  Picture take(const fs::path& root) {
    const UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) picture_[""] = unreadable(errno);
    if (fd) directory(fd.get(), "");
    return std::move(picture_);
  }

 private:
  void directory(int parent, const std::string& prefix) {
    const OpenDirectory open(::fdopendir(::dup(parent)));
    if (!open) {
      picture_[prefix] = unreadable(errno);
      return;
    }
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(open.get());
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name != "." && name != "..") one(parent, name, prefix + name);
    }
    if (errno != 0) picture_[prefix + "?"] = unreadable(errno);
  }

  void one(int parent, const std::string& name, const std::string& path) {
    struct stat info {};
    if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      picture_[path] = unreadable(errno);
      return;
    }
    Seen seen{'o', info.st_mode & 07777, 0, 0, ""};
    if (S_ISREG(info.st_mode)) {
      seen = file(parent, name, info);
    } else if (S_ISLNK(info.st_mode)) {
      seen.type = 'l';
      std::array<char, 4096> target{};
      const ssize_t size = ::readlinkat(parent, name.c_str(), target.data(), target.size());
      if (size < 0) seen = unreadable(errno);
      if (size >= 0) seen.target.assign(target.data(), static_cast<std::size_t>(size));
    } else if (S_ISDIR(info.st_mode)) {
      seen.type = 'd';
      const UniqueFd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
      if (!fd) seen = unreadable(errno);
      if (fd) directory(fd.get(), path + "/");
    }
    picture_[path] = seen;
  }

  // Hard links are read once.
  Seen file(int parent, const std::string& name, const struct stat& info) {
    const auto known = files_.find(info.st_ino);
    if (known != files_.end()) return known->second;
    Seen seen{'f', info.st_mode & 07777, static_cast<std::uint64_t>(info.st_size), 0, ""};
    const UniqueFd fd(::openat(parent, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOATIME));
    std::string bytes(seen.size, '\0');
    std::size_t have = 0;
    while (fd && have < bytes.size()) {
      const ssize_t size = ::pread(fd.get(), bytes.data() + have, bytes.size() - have, static_cast<off_t>(have));
      if (size <= 0) break;
      have += static_cast<std::size_t>(size);
    }
    if (!fd || have != bytes.size()) seen = unreadable(errno);
    if (seen.type == 'f') seen.content = hash_of_bytes(bytes);
    return files_[info.st_ino] = seen;
  }

  Picture picture_;
  std::map<ino_t, Seen> files_;
};

}  // namespace

std::uint64_t hash_of_bytes(std::string_view bytes) { return std::hash<std::string_view>{}(bytes); }

Picture picture_of(const fs::path& root) { return Walk().take(root); }

Picture below(const Picture& picture, const std::string& directory) {
  const std::string prefix = directory + "/";
  Picture part;
  for (auto it = picture.lower_bound(prefix); it != picture.end() && it->first.starts_with(prefix); ++it)
    part[it->first.substr(prefix.size())] = it->second;
  return part;
}

std::uint64_t hash_of(const Picture& picture) {
  std::uint64_t sum = 0;
  for (const auto& [path, seen] : picture) {
    const std::string text = path + '\0' + seen.type + std::to_string(seen.mode) + '/' + std::to_string(seen.size) +
                             '/' + std::to_string(seen.content) + '/' + seen.target;
    sum = sum * 1099511628211U + hash_of_bytes(text);
  }
  return sum;
}

}  // namespace hc
