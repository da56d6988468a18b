#pragma once

#include <string>

#include "engine/base/file.h"
#include "engine/base/progress.h"
#include "engine/base/stop.h"
#include "engine/payload/trust.h"

namespace hc {

// The very first version of a node: what image-tools puts on an empty disk, and a sandbox into an empty folder.
struct FirstInstall {
  fs::path sysroot;  // an empty directory: the root of the node's disk
  std::string stateroot = "honeycomb";
  std::string bootloader = "grub";
  std::string url;  // file:// or http(s) address of the repository that has the payload
  Commit commit;
  std::string arguments;        // this node's own kernel arguments
  std::vector<fs::path> trust;  // *.pub files: who may have signed it, and whom the node trusts from now on
  std::string settings;         // content of honeycomb.conf
};

// Installs the payload into slot `a`, confirmed, with its boot entry. The signature is checked first. After Ok the
// sysroot can be started. After a failure the directory may hold half an installation: remove it and begin anew.
// REQUIRES: the bootloader's environment can be made in <sysroot>/boot (see BootControl::check).
Result<Verdict> install_first(const FirstInstall& install, const ProgressFn& progress, const StopToken& stop);

// The commit that the repository in the folder `repository` has for this version of the OS.
Result<Commit> released_os(const fs::path& repository, const std::string& version);

}  // namespace hc
