#pragma once

#include <string>
#include <vector>

#include "engine/base/file.h"

namespace hc {

// A place that payloads come from.
struct Remote {
  std::string name;  // [a-z0-9._-]
  std::string url;   // http://, https:// or file://
};

// /usr/lib/honeycomb/remotes.d/*.conf, masked by files of the same name in /etc/honeycomb/remotes.d:
//   [remote]
//   url=https://...
class Remotes {
 public:
  Remotes(const fs::path& lib, const fs::path& etc) : lib_(lib / "remotes.d"), etc_(etc / "remotes.d") {}

  // Sorted by name.
  Result<std::vector<Remote>> all() const;
  // `place` is a URL or a path of a repository on this machine. Refused where the name is taken by another address.
  Status add(const std::string& name, const std::string& place) const;
  // Fails where there is no such remote.
  Status remove(const std::string& name) const;

 private:
  fs::path lib_;
  fs::path etc_;
};

}  // namespace hc
