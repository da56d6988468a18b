#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/base/file.h"

namespace hc {

// What a disk was asked to do, in order.
struct DiskEvent {
  enum class Kind { write, flush, mark };
  Kind kind = Kind::flush;
  std::uint64_t offset = 0;
  std::string data;  // write: the bytes (of a discard: zeros)
  std::string mark;  // mark: what had been told to the world at this moment
};

struct Recording {
  std::string before;  // the whole disk
  std::vector<DiskEvent> events;
  // The disk when everything was written.
  std::string after() const;
};

// Serves `image` as a disk (FUSE below a loop device), mounts it as `kind` with `options`, runs `work` on the mounted
// directory, unmounts, and gives every write, discard and flush in the order in which they reached the disk. `work`
// gets a function that puts a mark into the record. REQUIRES: a mount namespace of our own.
using MarkFn = std::function<void(const std::string&)>;
using DiskWork = std::function<Status(const fs::path& directory, const MarkFn& mark)>;
Result<Recording> record_disk(std::string image, const std::string& kind, const std::string& options,
                              const fs::path& scratch, const DiskWork& work);

}  // namespace hc
