#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"

// Which addresses the processes of a cgroup may talk to.
namespace hc {

// Addresses that share the bits of `mask`; in network byte order, IPv4 as ::ffff:a.b.c.d.
struct NetRange {
  std::array<std::uint32_t, 4> address{};
  std::array<std::uint32_t, 4> mask{};
};

// One address, IPv4 or IPv6, as people write it; nothing where it is none.
std::optional<NetRange> one_address(const std::string& text);
// 127.0.0.0/8 and ::1.
std::vector<NetRange> loopback_addresses();

// From now on, and for as long as the cgroup lives, its processes send to and receive from `reach` only: connect() to
// any other address fails with EPERM, and packets to and from others are dropped. Fails where the kernel has no BPF for
// cgroups, or we may not use it.
Status limit_network(int cgroup, const std::vector<NetRange>& reach);

// Forbids the calling process, for ever, sockets that no such filter sees (packet, vsock, bluetooth, CAN, ...) and the
// system calls that would make them behind our back; programs for another architecture do not run any more. False with
// errno where that could not be done. REQUIRES: no_new_privs is set, or we are root.
bool forbid_other_sockets();

}  // namespace hc
