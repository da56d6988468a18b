#pragma once

#include "engine/base/file.h"

namespace hc {

// A directory for one run that no other program looks into; gone at the end. Its name is fixed, so that the next run
// finds, and empties, what a killed one left.
class WorkPlace {
 public:
  // `.NAME.hc-payload` beside `path`, of which it need not be known that it exists; in the directory for temporary
  // files where that place cannot be written to. Fails with Code::busy while another program has it.
  static Result<WorkPlace> beside(const fs::path& path);

  WorkPlace(WorkPlace&& other) noexcept = default;
  WorkPlace& operator=(WorkPlace&& other) = delete;
  WorkPlace(const WorkPlace&) = delete;
  WorkPlace& operator=(const WorkPlace&) = delete;
  ~WorkPlace();

  const fs::path& path() const { return path_; }

 private:
  WorkPlace(fs::path path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  fs::path path_;
  UniqueFd lock_;  // on the directory
};

}  // namespace hc
