#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/file.h"

namespace hc {

// What has arrived of a download: `path`.part, and `path`.part-info, which says where it came from and by which
// validator (ETag or date) a server can tell that it still has the same file. All bytes of a part are of one file: a
// part whose origin is not known for certain is never resumed.
class PartFile {
 public:
  // Opens what is there, or an empty part. `origin` is the address without what changes from one permit to the next.
  static Result<PartFile> open(const fs::path& path, std::string origin);

  std::uint64_t size() const { return size_; }
  // Empty: cannot be resumed.
  const std::string& validator() const { return validator_; }

  // Empties the part; what is appended from now on belongs to the file that `validator` names.
  Status restart(const std::string& validator);
  Status append(std::string_view bytes);
  // Ok: the part has become `path`, durably.
  Status finish();

 private:
  PartFile(fs::path path, std::string origin) : path_(std::move(path)), origin_(std::move(origin)) {}
  fs::path part_path() const;
  fs::path info_path() const;
  Result<bool> matches_info();

  fs::path path_;
  std::string origin_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
  std::string validator_;
};

}  // namespace hc
