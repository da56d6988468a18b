#pragma once

#include <optional>
#include <string>

#include "engine/base/file.h"
#include "engine/base/ids.h"

namespace hc {

// Where things are on this node, and which boot this is. The node itself ("/") and a sandbox (a sysroot in a folder)
// differ in nothing else: a sandbox finds in run/honeycomb/{cmdline,boot_id} what the kernel of a node says in /proc.
struct Node {
  fs::path sysroot;       // "/" or the sandbox's folder
  std::string stateroot;  // OSTree's name for the OS: where /var lives
  fs::path root;          // the running system's tree
  fs::path etc;           // its /etc/honeycomb
  fs::path lib;           // its /usr/lib/honeycomb
  fs::path state;         // /var/lib/honeycomb
  fs::path boot;          // the boot directory
  std::optional<Slot> booted;
  std::string boot_id;

  bool is_sandbox() const { return sysroot != "/"; }

  // REQUIRES: `sysroot` was set up (an image or `hc-sandbox init` does it). Where a sandbox was never started, slot `a`
  // counts as booted.
  static Result<Node> open(const fs::path& sysroot);
};

// The slot that a kernel command line starts: its `ostree=/ostree/slots/<slot>` argument.
std::optional<Slot> slot_of_command_line(std::string_view command_line);

}  // namespace hc
