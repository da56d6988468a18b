#include "engine/archive/archive_io.h"

#include "engine/base/file.h"

namespace hc {

Error archive_error(std::uint64_t offset, const std::string& what) {
  return {Code::invalid, "the archive " + what + " (byte " + std::to_string(offset) + ")"};
}

Error archive_cut(std::uint64_t offset, const std::string& what) {
  return archive_error(offset, what).with_hint("fetch or copy it again");
}

Status write_content(int out, std::string_view bytes) {
  return write_all(out, bytes, "writing what the archive holds");
}

}  // namespace hc
