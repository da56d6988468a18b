#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <string>

#include "engine/base/file.h"
#include "engine/base/ids.h"

namespace hc {

// Tests of the store stand where the trust policy stands in the engine: they vouch for commits themselves. This takes
// the place of the real class, which test programs of engine/store do not link.
class TrustPolicy {
 public:
  static VerifiedPayload vouch(const Commit& commit) { return VerifiedPayload(commit); }
};

// A directory that is gone when the test ends; in memory where there is such a place, because libostree freezes the
// file system of a sysroot's /boot, which must not be the machine's own.
class TempDir {
 public:
  TempDir() {
    const fs::path base = fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path();
    std::string path = (base / "hc-store-XXXXXX").string();
    path_ = ::mkdtemp(path.data());
  }
  ~TempDir() {
    if (!remove_tree(path_)) ADD_FAILURE() << "cannot remove " << path_;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

inline void put_file(const fs::path& path, const std::string& content, unsigned mode = 0644) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  ::chmod(path.c_str(), mode);
}

inline std::string file_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A tree with the given files (path -> content).
inline void put_tree(const fs::path& root, const std::map<std::string, std::string>& files) {
  fs::create_directories(root);
  for (const auto& [path, content] : files) put_file(root / path, content);
}

// The value of a Result, or a failed test that says why.
template <typename T>
T must(Result<T> result, const char* what = "") {
  if (!result) {
    ADD_FAILURE() << what << ": " << result.error().text();
    std::abort();
  }
  return std::move(result).value();
}
inline void must(const Status& status, const char* what = "") {
  if (!status) ADD_FAILURE() << what << ": " << status.error().text();
}

}  // namespace hc
