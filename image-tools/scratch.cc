#include "image-tools/scratch.h"

#include <stdlib.h>

#include <cerrno>

namespace hc {

Result<Scratch> Scratch::make() {
  std::string pattern = fs::temp_directory_path() / "hc-payload-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) return Error::from_errno(errno, "making " + pattern);
  return Scratch(pattern);
}

Scratch::~Scratch() {
  if (!path_.empty()) static_cast<void>(remove_tree(path_));
}

}  // namespace hc
