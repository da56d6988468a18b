#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"

// What the parts of the archive's reader share.
namespace hc {

// "the archive WHAT (byte N)".
Error archive_error(std::uint64_t offset, const std::string& what);
// The same where the archive ends before it should.
Error archive_cut(std::uint64_t offset, const std::string& what = "ends too early: it was cut off");

Status write_content(int out, std::string_view bytes);

}  // namespace hc
