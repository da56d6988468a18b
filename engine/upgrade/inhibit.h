#pragma once

#include <string>
#include <vector>

#include "engine/base/file.h"

namespace hc {

// Reasons not to begin an upgrade now: a measurement runs, somebody works at the mast. Each is a file that its holder
// has locked, so that it ends with its holder, however that ends.
class Inhibitors {
 public:
  explicit Inhibitors(const fs::path& state) : directory_(state / "inhibit") {}

  struct Reason {
    std::string why;
    std::string who;
    int pid = 0;
  };
  // Holds upgrades off until the lock is let go of.
  Result<FileLock> hold(const std::string& why, const std::string& who) const;
  // Those that are held now.
  Result<std::vector<Reason>> held() const;
  // Code::busy, naming the reasons, where there are any.
  Status check() const;

 private:
  fs::path directory_;
};

}  // namespace hc
