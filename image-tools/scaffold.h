#pragma once

#include <span>
#include <string_view>

namespace hc {

// One file of image-tools/scaffold, as it was when this program was built. PERIPHERAL_NAME in it stands for the name.
struct ScaffoldFile {
  const char* name;
  std::string_view content;
  bool executable;
};
std::span<const ScaffoldFile> scaffold();

}  // namespace hc
