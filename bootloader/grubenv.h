#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/result.h"

namespace hc {

// GRUB's environment block: exactly 1024 bytes; a signature line, lines of `name=value` and of `# comments`, then `#`
// up to the end. In values a backslash stands before each backslash and newline. (The format of grub-editenv and of
// GRUB's load_env and save_env.)
//
// The variables that hold the switch (`hc_*`) are always written first, at fixed places for values of fixed length, so
// that a change of them is a change of the first 512-byte sector alone, which a disk writes whole or not at all.
class GrubEnv {
 public:
  static constexpr std::size_t kSize = 1024;
  static constexpr std::size_t kSector = 512;

  // Reads any bytes. What cannot be read is left out and named by faults(); a block without faults is one that GRUB
  // itself reads and writes.
  static GrubEnv parse(std::string_view bytes);

  const std::vector<std::string>& faults() const { return faults_; }

  // Of a name that occurs twice the last value counts, as it does for GRUB.
  std::optional<std::string> get(std::string_view name) const;
  // REQUIRES: `name` is `hc_` and lower-case letters, digits, `_`: only our own variables are ours to change.
  void set(std::string_view name, std::string_view value);

  // The block: ours first, sorted by name, then everybody else's lines as they were. The same variables always give the
  // same bytes. Fails with Code::no_space where they do not fit.
  Result<std::string> serialise() const;

 private:
  std::vector<std::pair<std::string, std::string>> ours_;  // sorted by name, each once
  std::vector<std::string> foreign_;                       // raw lines without the newline, comments included
  std::vector<std::string> faults_;
};

}  // namespace hc
