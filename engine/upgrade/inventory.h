#pragma once

#include <map>
#include <string>

#include "engine/base/file.h"
#include "engine/base/ids.h"

namespace hc {

// Which peripherals this node has: /etc/honeycomb/node.json,
//
//     { "peripherals": { "ptz-camera": { "description": "mast, south" }, "rain-gauge": { "fitted": false } } }
//
// With the file only the peripherals that it names are fitted (and not those with `"fitted": false`); without it every
// one is taken to be. Other keys are free for other programs.
class Inventory {
 public:
  // Fails with the place in the file where it is malformed.
  static Result<Inventory> load(const fs::path& file);

  bool fitted(const Target& target) const;
  // Every name in the file and whether it is fitted.
  const std::map<std::string, bool>& named() const { return named_; }

 private:
  bool known_ = false;
  std::map<std::string, bool> named_;
};

}  // namespace hc
