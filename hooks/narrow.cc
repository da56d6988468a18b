#include "hooks/narrow.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::size_t kMostAddresses = 256;

void narrow_devices(Narrowing& narrowing, const std::vector<std::string>& paths, ProcessLimits& limits) {
  limits.devices.emplace();
  for (const std::string& path : paths) {
    auto device = find_device(path);
    if (device) {
      limits.devices->push_back(std::move(device).value());
    } else {
      narrowing.warnings.push_back("the hook runs without a device: " + device.error().text());
    }
  }
}

// The addresses of one host, as the machine itself finds them. In a child: a resolver may take its time.
std::set<std::string> addresses_of(const Narrowing& narrowing, const std::string& host) {
  if (one_address(host)) return {host};
  CommandOptions options;
  options.timeout_ms = std::clamp<std::int64_t>(narrowing.timeout_ms, 0, 10'000);
  const auto found = run_command({"getent", "ahosts", host}, options, narrowing.stop);
  std::set<std::string> addresses;
  if (!found || found->status != 0) return addresses;
  for (const std::string& line : split(found->output, '\n')) {
    std::string address = line.substr(0, line.find(' '));
    if (one_address(address)) addresses.insert(std::move(address));
  }
  return addresses;
}

Status narrow_to_hosts(Narrowing& narrowing, ProcessLimits& limits) {
  std::string file = "127.0.0.1 localhost\n::1 localhost\n";
  for (const std::string& host : narrowing.call.hosts) {
    const std::set<std::string> addresses = addresses_of(narrowing, host);
    if (addresses.empty()) narrowing.warnings.push_back("the hook cannot reach " + quote(host) + ": it has no address");
    for (const std::string& address : addresses) {
      limits.reach.push_back(*one_address(address));
      if (address != host) file.append(address).append(" ").append(host).append("\n");
    }
  }
  if (limits.reach.size() > kMostAddresses) {
    return Error(Code::invalid, "its hosts have " + std::to_string(limits.reach.size()) + " addresses; at most " +
                                    std::to_string(kMostAddresses) + " can be allowed");
  }
  limits.hosts_file = narrowing.room->hosts().string();
  return write_atomically(limits.hosts_file, file).in("its /etc/hosts");
}

Status narrow_network(Narrowing& narrowing, ProcessLimits& limits) {
  switch (narrowing.call.network) {
    case HookNetwork::open:
      return ok;
    case HookNetwork::none:
      limits.network = ProcessLimits::Network::none;
      return ok;
    case HookNetwork::loopback:
      limits.network = ProcessLimits::Network::filtered;
      limits.reach = loopback_addresses();
      return ok;
    case HookNetwork::hosts:
      limits.network = ProcessLimits::Network::filtered;
      return narrow_to_hosts(narrowing, limits);
  }
  return Error(Code::internal, "a network of no known kind");
}

Status narrow_user(const Narrowing& narrowing, ProcessSpec& spec) {
  ProcessUser user = HC_TRY(find_user(narrowing.call.user));
  spec.environment["HOME"] = user.home;
  spec.environment["USER"] = spec.environment["LOGNAME"] = narrowing.call.user;
  const auto socket = spec.environment.find("HC_INSIGHT");
  const bool reachable =
      socket == spec.environment.end() || geteuid() != 0 ||
      (chmod(socket->second.c_str(), 0600) == 0 && chown(socket->second.c_str(), user.uid, user.gid) == 0);
  if (!reachable) return Error::from_errno(errno, "giving its socket of hc-insight to " + quote(narrowing.call.user));
  spec.limits.user = std::move(user);
  return ok;
}

}  // namespace

Result<Credentials> read_credentials(const fs::path& directory) {
  constexpr std::uint64_t kMost = 1 << 20;
  Credentials credentials;
  if (directory.empty()) return credentials;
  std::uint64_t left = kMost;
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return Error(Code::invalid, "its credentials: " + quote(directory.string()) + " is no directory");
  }
  const std::vector<std::string> names = HC_TRY(list_dir(directory).in("its credentials"));
  for (const std::string& name : names) {
    auto content = read_file(directory / name, left);
    if (!content) return std::move(content).error().in("its credentials");
    left -= content->size();
    credentials.emplace(name, std::move(content).value());
  }
  return credentials;
}

std::vector<std::string> all_secrets(const HookCall& call, const Credentials& credentials) {
  std::vector<std::string> secrets = call.secrets;
  for (const auto& [name, content] : credentials) secrets.push_back(content);
  return secrets;
}

Status narrow(Narrowing& narrowing, ProcessSpec& spec) {
  const HookCall& call = narrowing.call;
  const bool needs_room = !call.credentials.empty() || call.network == HookNetwork::hosts;
  if (needs_room && narrowing.room == nullptr) return Error(Code::io, "there is no directory for what it needs");
  if (!call.user.empty()) HC_TRY(narrow_user(narrowing, spec));
  if (call.devices) narrow_devices(narrowing, *call.devices, spec.limits);
  HC_TRY(narrow_network(narrowing, spec.limits));
  for (const fs::path& directory : call.hidden) spec.limits.hidden.push_back(directory.string());
  spec.limits.kept = {call.directory.string()};
  if (narrowing.room != nullptr) spec.limits.kept.push_back(narrowing.room->path().string());
  if (!call.credentials.empty()) {
    spec.limits.secrets_directory = narrowing.room->credentials().string();
    spec.limits.secrets = narrowing.credentials;
    spec.environment["HC_CREDENTIALS_DIR"] = spec.limits.secrets_directory;
  }
  return ok;
}

}  // namespace hc
