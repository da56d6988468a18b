#pragma once

#include <map>
#include <string>
#include <string_view>

#include "engine/payload/manifest.h"

// The Debian packages that a tree is made of, as dpkg's own database says.
namespace hc {

struct Package {
  std::string name;
  std::string architecture;
  std::string version;
  std::string source;  // name of the source package
  std::string maintainer;
  std::string homepage;
};
// By "NAME:ARCHITECTURE".
using Packages = std::map<std::string, Package>;

// Where the database lies: in trees of `hc-image`, and in plain ones.
inline constexpr const char* kPackageDatabases[] = {"usr/share/dpkg/database/status", "var/lib/dpkg/status"};

// The packages that are installed by what a `status` file says; passes over what it does not understand.
Packages parse_packages(std::string_view status);

// The bill of materials of a payload as SPDX 2.3 in JSON. The same payload and packages give the same text.
std::string spdx_text(const Manifest& manifest, const Packages& packages);

}  // namespace hc
