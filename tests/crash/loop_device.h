#pragma once

#include <sys/mount.h>

#include <string>

#include "engine/base/file.h"

namespace hc {

// A loop device on an open file, detached on destruction. The file may be changed underneath while nothing is mounted.
class LoopDevice {
 public:
  static Result<LoopDevice> attach(int file);

  const fs::path& path() const { return path_; }
  // Forgets what the kernel remembers of the content. To be called when the file was changed underneath.
  Status forget() const;

 private:
  LoopDevice(UniqueFd device, fs::path path) : device_(std::move(device)), path_(std::move(path)) {}

  // Detaches itself when the last user has gone (LO_FLAGS_AUTOCLEAR): also where this process is killed.
  UniqueFd device_;
  fs::path path_;
};

// From here on this process sees mounts that nobody else sees; they are gone with it.
Status own_mounts();

// A mounted file system, unmounted on destruction. REQUIRES: the directory exists, in a mount namespace of our own.
class Mounted {
 public:
  static Result<Mounted> mount(const fs::path& device, const fs::path& directory, const std::string& kind,
                               unsigned long flags, const std::string& options);
  Mounted(Mounted&& other) noexcept : directory_(std::exchange(other.directory_, {})) {}
  Mounted& operator=(Mounted&&) = delete;
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;
  ~Mounted();

  const fs::path& directory() const { return directory_; }
  // Ok where nothing uses it any more.
  Status unmount();

 private:
  explicit Mounted(fs::path directory) : directory_(std::move(directory)) {}
  fs::path directory_;
};

}  // namespace hc
