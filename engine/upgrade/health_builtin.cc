#include "engine/upgrade/health_builtin.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <optional>

#include "engine/base/handle.h"
#include "engine/base/process.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::int64_t kAskMs = 10'000;  // for one question to systemd, a name server, the hub

using Addresses = Handle<addrinfo, freeaddrinfo>;

CheckResult outcome(std::string_view name, CheckEnd end, std::string text) {
  CheckResult check;
  check.name = "builtin/" + std::string(name);
  check.end = end;
  check.text = std::move(text);
  return check;
}

struct Endpoint {
  std::string host;
  std::string port;
};

std::optional<Endpoint> parse_endpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  Endpoint endpoint{text.substr(0, colon), text.substr(colon + 1)};
  if (endpoint.host.starts_with('[') && endpoint.host.ends_with(']')) {
    endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
  }
  unsigned number = 0;
  const char* end = endpoint.port.data() + endpoint.port.size();
  const auto parsed = std::from_chars(endpoint.port.data(), end, number);
  const bool valid = parsed.ec == std::errc{} && parsed.ptr == end && number > 0 && number < 65'536;
  return valid && !endpoint.host.empty() ? std::optional(endpoint) : std::nullopt;
}

bool is_numeric(const std::string& host) {
  in6_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// Asked of a program, as a resolver inside our own process cannot be stopped and may wait for minutes.
Result<std::vector<std::string>> addresses_of(const std::string& host, const StopToken& stop) {
  if (is_numeric(host)) return std::vector{host};
  CommandOptions options;
  options.timeout_ms = kAskMs;
  const CommandResult answer = HC_TRY(run_command({"getent", "ahosts", host}, options, stop));
  std::vector<std::string> found;
  for (const std::string& line : split(answer.output, '\n')) {
    std::string address = split(line, ' ').front();
    if (!address.empty() && std::find(found.begin(), found.end(), address) == found.end()) found.push_back(address);
  }
  if (answer.status != 0 || found.empty())
    return Error(Code::unavailable, "the name " + quote(host) + " has no address");
  return found;
}

// 0, or why no connection could be made.
int connect_to(const std::string& address, const std::string& port, const StopToken& stop) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  Addresses list;
  if (getaddrinfo(address.c_str(), port.c_str(), &hints, out(list)) != 0) return EADDRNOTAVAIL;
  const UniqueFd fd(socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  if (connect(fd.get(), list->ai_addr, list->ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd fds[2] = {{fd.get(), POLLOUT, 0}, {g_cancellable_get_fd(stop.cancellable()), POLLIN, 0}};
  const int ready = poll(fds, 2, static_cast<int>(kAskMs));
  if (fds[1].fd >= 0) g_cancellable_release_fd(stop.cancellable());
  if (ready <= 0 || fds[0].revents == 0) return ready == 0 ? ETIMEDOUT : ECANCELED;
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

// `text` as the words that white space separates.
std::vector<std::string> words_of(std::string text) {
  std::replace(text.begin(), text.end(), '\t', ' ');
  std::vector<std::string> words = split(text, ' ');
  std::erase(words, "");
  return words;
}

// Lines of /proc/net/route: interface, destination, gateway, flags, ..., mask at field 7; numbers in hexadecimal.
bool is_default_route(const std::vector<std::string>& line) {
  return line.size() > 7 && line[1] == "00000000" && line[7] == "00000000" &&
         (std::strtoul(line[3].c_str(), nullptr, 16) & 1) != 0;
}

// Lines of /proc/net/ipv6_route: destination, its prefix length, ..., flags at field 8, interface at field 9. The
// kernel keeps a default entry on lo that means "unreachable".
bool is_default_route6(const std::vector<std::string>& line) {
  return line.size() > 9 && line[0] == std::string(32, '0') && line[1] == "00" && line[9] != "lo";
}

std::int64_t modified_s(const fs::path& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mtim.tv_sec : 0;
}

}  // namespace

const std::vector<std::string_view>& builtin_checks() {
  static const std::vector<std::string_view> kNames = {"units", "clock", "disk", "route", "dns", "hub"};
  return kNames;
}

CheckResult run_builtin(std::string_view name, const HealthPlan& plan, const StopToken& stop) {
  if (name == "units") return check_units(plan.root, "systemctl", stop);
  if (name == "clock") return check_clock(plan.root, std::time(nullptr), plan.not_before_s);
  if (name == "disk") return check_disk(plan.state_directory, plan.least_free_bytes, plan.least_free_inodes);
  if (name == "route") return check_route("/proc");
  if (name == "dns") return check_dns(plan.hub, stop);
  if (name == "hub") return check_hub(plan.hub, stop);
  return outcome(name, CheckEnd::could_not_run, "there is no built-in check of this name");
}

CheckResult check_units(const fs::path& root, const std::string& systemctl, const StopToken& stop) {
  constexpr std::string_view kName = "units";
  std::error_code error;
  if (!fs::is_directory(root / "run/systemd/system", error)) {  // what sd_booted(3) asks
    return outcome(kName, CheckEnd::skipped, "systemd does not run this system");
  }
  CommandOptions options;
  options.timeout_ms = kAskMs;
  const auto answer = run_command({systemctl, "--failed", "--no-legend", "--plain", "--no-pager"}, options, stop);
  if (!answer) return outcome(kName, CheckEnd::could_not_run, answer.error().text());
  if (answer->status != 0) {
    return outcome(kName, CheckEnd::could_not_run, "systemctl failed: " + printable(trimmed(answer->errors)));
  }
  std::string failed;
  for (const std::string& line : split(answer->output, '\n')) {
    const auto words = words_of(line);
    if (!words.empty()) failed += (failed.empty() ? "" : ", ") + printable(words.front());
  }
  if (failed.empty()) return outcome(kName, CheckEnd::passed, "no unit has failed");
  return outcome(kName, CheckEnd::failed, "failed units: " + failed);
}

CheckResult check_clock(const fs::path& root, std::int64_t now_s, std::int64_t not_before_s) {
  const std::int64_t known = std::max(
      {not_before_s, modified_s(root / "var/lib/systemd/timesync/clock"), modified_s(root / "usr/lib/clock-epoch")});
  if (now_s >= known) return outcome("clock", CheckEnd::passed, "it is " + iso_time(now_s));
  return outcome("clock", CheckEnd::failed,
                 "the clock says " + iso_time(now_s) + ", but " + iso_time(known) + " is over already");
}

CheckResult check_disk(const fs::path& path, std::uint64_t least_bytes, std::uint64_t least_inodes) {
  const auto space = free_space(path);
  if (!space) return outcome("disk", CheckEnd::could_not_run, space.error().text());
  if (space->bytes < least_bytes) {
    return outcome("disk", CheckEnd::failed,
                   "only " + human_bytes(space->bytes) + " are free on the file system of " + path.string() + ", " +
                       human_bytes(least_bytes) + " are needed");
  }
  if (space->inodes < least_inodes) {
    return outcome("disk", CheckEnd::failed,
                   "only " + std::to_string(space->inodes) + " inodes are free on the file system of " + path.string() +
                       ", " + std::to_string(least_inodes) + " are needed");
  }
  return outcome("disk", CheckEnd::passed, human_bytes(space->bytes) + " are free");
}

CheckResult check_route(const fs::path& proc) {
  constexpr std::string_view kName = "route";
  const auto routes = read_file(proc / "net/route");
  if (!routes) return outcome(kName, CheckEnd::could_not_run, routes.error().text());
  for (const std::string& line : split(*routes, '\n')) {
    const auto words = words_of(line);
    if (is_default_route(words)) return outcome(kName, CheckEnd::passed, "by " + printable(words.front()));
  }
  const auto routes6 = read_file_if_exists(proc / "net/ipv6_route");
  const std::string lines6 = routes6 && *routes6 ? **routes6 : "";
  for (const std::string& line : split(lines6, '\n')) {
    const auto words = words_of(line);
    if (is_default_route6(words)) return outcome(kName, CheckEnd::passed, "by " + printable(words[9]));
  }
  return outcome(kName, CheckEnd::failed, "there is no default route");
}

CheckResult check_dns(const std::string& hub, const StopToken& stop) {
  constexpr std::string_view kName = "dns";
  if (hub.empty()) return outcome(kName, CheckEnd::skipped, "no hub is configured, so there is no name to ask for");
  const auto endpoint = parse_endpoint(hub);
  if (!endpoint) return outcome(kName, CheckEnd::could_not_run, quote(hub) + " is not HOST:PORT");
  if (is_numeric(endpoint->host)) return outcome(kName, CheckEnd::skipped, "the hub is known by its address");
  const auto addresses = addresses_of(endpoint->host, stop);
  if (!addresses) return outcome(kName, CheckEnd::failed, addresses.error().text());
  return outcome(kName, CheckEnd::passed, endpoint->host + " is " + printable(addresses->front()));
}

CheckResult check_hub(const std::string& hub, const StopToken& stop) {
  constexpr std::string_view kName = "hub";
  if (hub.empty()) return outcome(kName, CheckEnd::skipped, "no hub is configured");
  const auto endpoint = parse_endpoint(hub);
  if (!endpoint) return outcome(kName, CheckEnd::could_not_run, quote(hub) + " is not HOST:PORT");
  const auto addresses = addresses_of(endpoint->host, stop);
  if (!addresses) return outcome(kName, CheckEnd::failed, addresses.error().text());
  constexpr std::size_t kMost = 4;  // bounds the time
  int error = 0;
  for (std::size_t i = 0; i < std::min(kMost, addresses->size()); ++i) {
    error = connect_to(addresses->at(i), endpoint->port, stop);
    if (error == 0) return outcome(kName, CheckEnd::passed, "connected to " + hub);
  }
  return outcome(kName, CheckEnd::failed, "no connection to " + hub + ": " + std::strerror(error));
}

}  // namespace hc
