#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/base/result.h"

// The seam between those who bring objects in a form of their own (engine/delta) and the repository that keeps them
// (engine/store). Objects are OSTree's: each is named by the SHA-256 of its content and attributes, in hexadecimal.
namespace hc {

enum class ObjectKind : unsigned char { directory, attributes };  // dirtree, dirmeta

struct FileAttributes {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t mode = 0;  // with the file type
  std::string xattrs;      // serialized a(ayay); empty: none

  bool operator==(const FileAttributes&) const = default;
};

// The content of one regular file that is here already.
class BaseFile {
 public:
  virtual ~BaseFile() = default;
  virtual std::uint64_t size() const = 0;
  // Fills all of `to` (`size` bytes) from `offset` on, or fails.
  virtual Status read(std::uint64_t offset, char* to, std::size_t size) = 0;
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  virtual Result<bool> has_file(const std::string& checksum) = 0;
  virtual Result<std::unique_ptr<BaseFile>> base(const std::string& checksum) = 0;

  // Each kept only where it matches `checksum`; Code::untrusted where it does not.
  virtual Status put_metadata(ObjectKind kind, const std::string& checksum, std::string_view bytes) = 0;
  virtual Status put_link(const std::string& checksum, const FileAttributes& attributes, const std::string& target) = 0;
  // A regular file, piece by piece: one at a time. A file that is not ended is forgotten.
  virtual Status begin_file(const std::string& checksum, const FileAttributes& attributes, std::uint64_t size) = 0;
  virtual Status write(std::string_view piece) = 0;
  virtual Status end_file() = 0;

  // After Ok all that was put so far is on the disk.
  virtual Status keep() = 0;
};

}  // namespace hc
