#include "engine/upgrade/node.h"

#include "engine/base/text.h"

namespace hc {
namespace {

// The first line of a file, or nothing where it cannot be read.
std::optional<std::string> line_of(const fs::path& path) {
  const auto content = read_file_if_exists(path, 64 << 10);
  if (!content || !*content) return std::nullopt;
  return std::string(trimmed(**content));
}

// A slot link reads ../deploy/STATEROOT/deploy/CHECKSUM.SERIAL.
std::optional<std::string> stateroot_of(const fs::path& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  if (error) return std::nullopt;
  const std::vector<std::string> parts = split(target.string(), '/');
  if (parts.size() != 5 || parts[1] != "deploy") return std::nullopt;
  return parts[2];
}

}  // namespace

std::optional<Slot> slot_of_command_line(std::string_view command_line) {
  constexpr std::string_view kPrefix = "ostree=/ostree/slots/";
  for (const std::string& word : split(command_line, ' ')) {
    if (!word.starts_with(kPrefix)) continue;
    const auto slot = parse_slot(word.substr(kPrefix.size()));
    if (slot) return *slot;
  }
  return std::nullopt;
}

Result<Node> Node::open(const fs::path& sysroot) {
  Node node;
  std::error_code error;
  node.sysroot = fs::canonical(sysroot, error);
  if (error) return Error::from_errno(error.value(), "opening the sysroot " + sysroot.string());
  const fs::path slots = node.sysroot / "ostree/slots";
  for (const Slot slot : {Slot::a, Slot::b}) {
    if (auto found = stateroot_of(slots / name(slot)); found && node.stateroot.empty()) node.stateroot = *found;
  }
  if (node.stateroot.empty()) {
    return Error(Code::invalid, node.sysroot.string() + " is no Honeycomb node: " + slots.string() + " has no slot")
        .with_hint("a node is made by `hc-image`, a sandbox by `hc-sandbox init DIR`");
  }
  const bool real = !node.is_sandbox();
  const fs::path run = node.sysroot / "run/honeycomb";
  node.boot_id =
      line_of(real ? fs::path("/proc/sys/kernel/random/boot_id") : run / "boot_id").value_or("never-started");
  const auto command_line = line_of(real ? fs::path("/proc/cmdline") : run / "cmdline");
  node.booted = command_line ? slot_of_command_line(*command_line) : std::optional<Slot>();
  if (!command_line && !real) node.booted = Slot::a;
  node.root = real ? fs::path("/") : slots / name(node.booted.value_or(Slot::a));
  node.etc = node.root / "etc/honeycomb";
  node.lib = node.root / "usr/lib/honeycomb";
  node.state =
      real ? fs::path("/var/lib/honeycomb") : node.sysroot / "ostree/deploy" / node.stateroot / "var/lib/honeycomb";
  node.boot = node.sysroot / "boot";
  return node;
}

}  // namespace hc
