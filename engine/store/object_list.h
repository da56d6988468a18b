#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/object_store.h"
#include "engine/store/repository.h"

// For those who write a commit's content out in a form of their own.
namespace hc {

struct ListedObject {
  enum class Kind { directory, attributes, file };
  Kind kind = Kind::file;
  std::string checksum;
  std::string path;  // the first that uses it
};
// Every object that the commit needs once, but the commit object, in the order of the paths.
Result<std::vector<ListedObject>> list_objects(const Repository& repository, const Commit& commit,
                                               const StopToken& stop);

// The bytes of a directory or of attributes.
Result<std::string> metadata_object(const Repository& repository, const ListedObject& object);

struct LoadedFile {
  FileAttributes attributes;
  std::optional<std::string> link;  // where a symlink points to
  std::uint64_t size = 0;
  std::string content;
};
Result<LoadedFile> load_file(const Repository& repository, const std::string& checksum, bool with_content = true);

}  // namespace hc
