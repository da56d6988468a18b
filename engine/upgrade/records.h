#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/file.h"
#include "engine/base/json.h"

namespace hc {

// The engine's own JSON documents, by name ("transaction", "history/000012"). A seam so that a test can cut the power
// at each write.
class Records {
 public:
  virtual ~Records() = default;
  // The document, or nothing where there is none. A damaged one is set aside and its last good copy returned, with one
  // more key
  // `"recovered": true`; where there is no good copy either, nothing.
  virtual Result<std::optional<Json>> read(const std::string& name) = 0;
  // Durable on Ok; the old document on failure.
  virtual Status write(const std::string& name, const Json& document) = 0;
  virtual Status remove(const std::string& name) = 0;
  // Names below `folder` ("history"), sorted.
  virtual Result<std::vector<std::string>> list(const std::string& folder) = 0;
};

// Files below one directory: NAME.json, with the state before the last write in NAME.json.last.
class RecordDir final : public Records {
 public:
  explicit RecordDir(fs::path directory) : directory_(std::move(directory)) {}

  Result<std::optional<Json>> read(const std::string& name) override;
  Status write(const std::string& name, const Json& document) override;
  Status remove(const std::string& name) override;
  Result<std::vector<std::string>> list(const std::string& folder) override;

 private:
  fs::path file(const std::string& name) const { return directory_ / (name + ".json"); }
  fs::path directory_;
};

}  // namespace hc
