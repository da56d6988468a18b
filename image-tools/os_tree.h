#pragma once

#include <map>
#include <string>
#include <vector>

#include "image-tools/findings.h"

namespace hc {

struct OsTree {
  std::map<std::string, std::string> carries;  // peripheral -> version of those that lie in it
  std::string kernel;                          // the KVER of usr/lib/modules/KVER; empty where there is not exactly one
  Findings findings;
};

// The rules for a root tree that is to be an OS payload:
//   usr/lib/os-release with ID or PRETTY_NAME; exactly one usr/lib/modules/KVER with vmlinuz and initramfs.img, all of
//   one version; etc or usr/etc; nothing in home, srv, opt, mnt and usr/local, which are the node's own (in /var);
//   hooks in usr/lib/honeycomb/upgrade and payloads in usr/lib/honeycomb/peripherals/NAME as nodes want them.
// Warnings name what convert_os_tree() leaves out and what every node would share (host keys).
OsTree check_os_tree(const fs::path& tree);

// Directories whose content is no part of an OS: the machine makes it anew.
const std::vector<std::string>& emptied_directories();

// Turns a view of a plain root tree into the tree of an OSTree deployment, in place; one that is so already stays as it
// is: etc becomes usr/etc, home, root, srv, opt, mnt and usr/local become links into /var, ostree and tmp links into
// /sysroot, and /etc/machine-id is empty, so that each node gets its own. REQUIRES: check_os_tree() found no error.
Status convert_os_tree(const fs::path& view);

}  // namespace hc
