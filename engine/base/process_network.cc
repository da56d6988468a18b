#include "engine/base/process_network.h"

#include <arpa/inet.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "engine/base/file.h"

namespace hc {
namespace {

constexpr std::uint32_t kAll = 0xffffffff;

bool is_ipv4(const NetRange& range) {
  return range.address[0] == 0 && range.address[1] == 0 && range.address[2] == htonl(0xffff) && range.mask[2] == kAll;
}

// A program for the kernel's virtual machine that answers 1 for an address in the ranges, else 0. It keeps the address
// as four words on its stack, and its argument in register 6.
class AddressProgram {
 public:
  explicit AddressProgram(const std::vector<NetRange>& reach) : reach_(reach) {
    add(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_6, BPF_REG_1, 0, 0);
  }

  // The argument is a packet: its destination on the way out, its source on the way in.
  static AddressProgram of_packets(const std::vector<NetRange>& reach, bool out) {
    AddressProgram program(reach);
    constexpr int kSource4 = 12;
    constexpr int kSource6 = 8;
    program.packet_section(ETH_P_IP, out ? kSource4 + 4 : kSource4, 3);
    program.packet_section(ETH_P_IPV6, out ? kSource6 + 16 : kSource6, 0);
    program.answer(0);
    return program;
  }

  // The argument is an address to connect to.
  static AddressProgram of_connect4(const std::vector<NetRange>& reach) {
    AddressProgram program(reach);
    program.copy_word(offsetof(bpf_sock_addr, user_ip4), 3);
    program.compare_all(3);
    program.answer(0);
    return program;
  }
  static AddressProgram of_connect6(const std::vector<NetRange>& reach) {
    AddressProgram program(reach);
    for (std::size_t word = 0; word < 4; ++word) {
      program.copy_word(offsetof(bpf_sock_addr, user_ip6) + sizeof(std::uint32_t) * word, static_cast<int>(word));
    }
    program.compare_all(0);
    program.answer(0);
    return program;
  }

  const std::vector<bpf_insn>& code() const { return code_; }

 private:
  static std::int16_t stack(int word) { return static_cast<std::int16_t>(4 * word - 16); }

  void add(int code, int to, int from, std::int16_t offset, std::uint32_t value) {
    bpf_insn instruction{};
    instruction.code = static_cast<std::uint8_t>(code);
    instruction.dst_reg = static_cast<std::uint8_t>(to & 0xf);
    instruction.src_reg = static_cast<std::uint8_t>(from & 0xf);
    instruction.off = offset;
    instruction.imm = static_cast<std::int32_t>(value);
    code_.push_back(instruction);
  }

  void answer(std::uint32_t value) {
    add(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, value);
    add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  }

  void copy_word(std::size_t offset, int word) {
    add(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_6, static_cast<std::int16_t>(offset), 0);
    add(BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, BPF_REG_1, stack(word), 0);
  }

  // Makes each of `jumps` go to the next instruction.
  void land(const std::vector<std::size_t>& jumps) {
    for (const std::size_t at : jumps) code_[at].off = static_cast<std::int16_t>(code_.size() - at - 1);
  }

  void compare_all(int first_word) {
    for (const NetRange& range : reach_) {
      if (first_word == 3 && !is_ipv4(range)) continue;
      std::vector<std::size_t> misses;
      for (int word = first_word; word < 4; ++word) {
        const auto at = static_cast<std::size_t>(word);
        if (range.mask[at] == 0) continue;
        add(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_10, stack(word), 0);
        if (range.mask[at] != kAll) add(BPF_ALU | BPF_AND | BPF_K, BPF_REG_1, 0, 0, range.mask[at]);
        misses.push_back(code_.size());
        add(BPF_JMP32 | BPF_JNE | BPF_K, BPF_REG_1, 0, 0, range.address[at]);
      }
      answer(1);
      land(misses);
    }
  }

  void packet_section(std::uint16_t protocol, std::uint32_t offset, int first_word) {
    add(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_1, BPF_REG_6, offsetof(__sk_buff, protocol), 0);
    const std::size_t other = code_.size();
    add(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_1, 0, 0, htons(protocol));
    add(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_6, 0, 0);
    add(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, offset);
    add(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_10, 0, 0);
    add(BPF_ALU64 | BPF_ADD, BPF_REG_3, 0, 0, static_cast<std::uint32_t>(stack(first_word)));
    add(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_4, 0, 0, static_cast<std::uint32_t>(4 * (4 - first_word)));
    add(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_load_bytes);
    const std::size_t loaded = code_.size();
    add(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 0, 0);
    answer(0);
    land({loaded});
    compare_all(first_word);
    answer(0);
    land({other});
  }

  const std::vector<NetRange>& reach_;
  std::vector<bpf_insn> code_;
};

int bpf(int command, bpf_attr& what) { return static_cast<int>(syscall(SYS_bpf, command, &what, sizeof what)); }

Status attach(int cgroup, bpf_prog_type type, bpf_attach_type where, const AddressProgram& program) {
  bpf_attr load{};
  load.prog_type = type;
  load.expected_attach_type = where;
  load.insns = reinterpret_cast<std::uintptr_t>(program.code().data());
  load.insn_cnt = static_cast<std::uint32_t>(program.code().size());
  load.license = reinterpret_cast<std::uintptr_t>("Apache-2.0");
  std::memcpy(load.prog_name, "hc_network", sizeof "hc_network");
  const UniqueFd loaded(bpf(BPF_PROG_LOAD, load));
  if (!loaded) return Error::from_errno(errno, "loading a network filter (BPF) into the kernel");
  bpf_attr attached{};
  attached.target_fd = static_cast<std::uint32_t>(cgroup);
  attached.attach_bpf_fd = static_cast<std::uint32_t>(loaded.get());
  attached.attach_type = where;
  attached.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, attached) != 0) return Error::from_errno(errno, "attaching a network filter to a cgroup");
  return ok;
}

}  // namespace

std::optional<NetRange> one_address(const std::string& text) {
  NetRange range;
  range.mask.fill(kAll);
  if (inet_pton(AF_INET6, text.c_str(), range.address.data()) == 1) return range;
  range.address = {0, 0, htonl(0xffff), 0};
  if (inet_pton(AF_INET, text.c_str(), &range.address[3]) == 1) return range;
  return std::nullopt;
}

std::vector<NetRange> loopback_addresses() {
  const NetRange ipv4{{0, 0, htonl(0xffff), htonl(0x7f000000)}, {kAll, kAll, kAll, htonl(0xff000000)}};
  const NetRange ipv6{{0, 0, 0, htonl(1)}, {kAll, kAll, kAll, kAll}};
  return {ipv4, ipv6};
}

Status limit_network(int cgroup, const std::vector<NetRange>& reach) {
  // Connecting is checked twice: a dropped packet alone would let connect() try again for minutes.
  HC_TRY(attach(cgroup, BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, AddressProgram::of_packets(reach, true)));
  HC_TRY(attach(cgroup, BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, AddressProgram::of_packets(reach, false)));
  HC_TRY(attach(cgroup, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, AddressProgram::of_connect4(reach)));
  return attach(cgroup, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT, AddressProgram::of_connect6(reach));
}

bool forbid_other_sockets() {
#if defined(__x86_64__)
  constexpr std::uint32_t kMachine = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  constexpr std::uint32_t kMachine = AUDIT_ARCH_AARCH64;
#elif defined(__arm__)
  constexpr std::uint32_t kMachine = AUDIT_ARCH_ARM;
#elif defined(__riscv)
  constexpr std::uint32_t kMachine = AUDIT_ARCH_RISCV64;
#else
#error "this architecture has a name in linux/audit.h"
#endif
  constexpr std::uint32_t kX32 = 0x40000000;  // the other system calls of x86-64
  constexpr std::uint32_t kAbsent = SECCOMP_RET_ERRNO | ENOSYS;
  constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EAFNOSUPPORT;
  constexpr auto kLoad = static_cast<std::uint16_t>(BPF_LD | BPF_W | BPF_ABS);
  constexpr auto kEqual = static_cast<std::uint16_t>(BPF_JMP | BPF_JEQ | BPF_K);
  constexpr auto kAtLeast = static_cast<std::uint16_t>(BPF_JMP | BPF_JGE | BPF_K);
  constexpr auto kReturn = static_cast<std::uint16_t>(BPF_RET | BPF_K);
  constexpr bool kBig = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
  // Each line: what to do, how many lines to skip if so and if not, with what.
  std::array<sock_filter, 15> code = {{
      {kLoad, 0, 0, offsetof(seccomp_data, arch)},
      {kEqual, 1, 0, kMachine},
      {kReturn, 0, 0, kAbsent},
      {kLoad, 0, 0, offsetof(seccomp_data, nr)},
      {kAtLeast, 1, 0, kX32},
      {kEqual, 0, 1, SYS_io_uring_setup},  // it makes sockets by itself
      {kReturn, 0, 0, kAbsent},
      {kEqual, 0, 5, SYS_socket},
      {kLoad, 0, 0, offsetof(seccomp_data, args) + (kBig ? 4 : 0)},
      {kEqual, 3, 0, AF_UNIX},
      {kEqual, 2, 0, AF_INET},
      {kEqual, 1, 0, AF_INET6},
      {kEqual, 0, 1, AF_NETLINK},
      {kReturn, 0, 0, SECCOMP_RET_ALLOW},
      {kReturn, 0, 0, kRefuse},
  }};
  const sock_fprog program{static_cast<std::uint16_t>(code.size()), code.data()};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace hc
