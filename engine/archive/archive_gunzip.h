#pragma once

#include <cstdint>

#include "engine/base/result.h"

namespace hc {

// True where the file behind `file` begins as gzip does.
Result<bool> is_gzip(int file);

// Writes what the gzip file behind `file` holds to `out`. All members are read to their ends, their checksums compared,
// and nothing may follow them: unlike with most readers, libarchive's among them, a cut, damaged or continued file is
// an error that names the byte. Fails above `limit` bytes, and where so much comes out of so little that it can only be
// a bomb.
Status gunzip(int file, int out, std::uint64_t limit);

}  // namespace hc
