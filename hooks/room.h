#pragma once

#include <utility>

#include "engine/base/file.h"
#include "engine/base/result.h"

namespace hc {

// A directory for what one hook needs while it runs, written by root only and gone with this object.
class HookRoom {
 public:
  static Result<HookRoom> open(const fs::path& parent);
  HookRoom(HookRoom&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  HookRoom& operator=(HookRoom&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~HookRoom();

  const fs::path& path() const { return path_; }
  fs::path socket() const { return path_ / "s"; }             // of hc-insight
  fs::path hosts() const { return path_ / "hosts"; }          // the hook's /etc/hosts
  fs::path credentials() const { return path_ / "secrets"; }  // an empty directory, to mount on

 private:
  explicit HookRoom(fs::path path) : path_(std::move(path)) {}

  fs::path path_;
};

}  // namespace hc
