#include "engine/archive/archive_io.h"

#include <unistd.h>

#include <cerrno>

namespace hc {

Error archive_error(std::uint64_t offset, const std::string& what) {
  return {Code::invalid, "the archive " + what + " (byte " + std::to_string(offset) + ")"};
}

Error archive_cut(std::uint64_t offset, const std::string& what) {
  return archive_error(offset, what).with_hint("fetch or copy it again");
}

Status write_all(int out, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(out, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error::from_errno(errno, "writing what the archive holds");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return ok;
}

}  // namespace hc
