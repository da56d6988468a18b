#include "engine/service/guard.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "engine/base/text.h"

namespace hc {
namespace {

constexpr const char* kGroup = "honeycomb";

bool is_member(const passwd& person) {
  const group* own = getgrnam(kGroup);
  if (own == nullptr) return false;
  int count = 256;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (getgrouplist(person.pw_name, person.pw_gid, groups.data(), &count) < 0) return false;
  return std::find(groups.begin(), groups.begin() + count, own->gr_gid) != groups.begin() + count;
}

bool is_this_machine(std::string_view host) {
  if (host.starts_with("[::1]")) return host.size() == 5 || host[5] == ':';
  host = host.substr(0, host.find(':'));
  return host == "localhost" || host == "127.0.0.1";
}

}  // namespace

Caller caller_of(unsigned uid) {
  Caller caller{true, uid, "uid " + std::to_string(uid), uid == 0};
  const passwd* person = getpwuid(uid);
  if (person == nullptr) return caller;
  caller.name = person->pw_name;
  caller.may_change = uid == 0 || is_member(*person);
  return caller;
}

Status refuse_browsers(const std::map<std::string, std::string>& headers, bool changes) {
  const auto header = [&](const char* name) {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string() : found->second;
  };
  if (!is_this_machine(header("host")))
    return Error(Code::untrusted, "the request is for the host " + quote(header("host")) + ", which this node is not");
  const std::string origin = header("origin");
  if (!origin.empty()) return Error(Code::untrusted, "the request comes from the web page " + quote(origin));
  const std::string site = header("sec-fetch-site");
  if (!site.empty() && (changes || site != "none"))
    return Error(Code::untrusted, "the request comes from a web browser");
  if (changes && (header("user-agent").starts_with("Mozilla/") || !header("referer").empty()))
    return Error(Code::untrusted, "the request comes from a web browser");
  return ok;
}

bool Bucket::take(std::int64_t monotonic_ms) {
  left_ = std::min(burst_, left_ + per_second_ * static_cast<double>(monotonic_ms - last_ms_) / 1000.0);
  last_ms_ = monotonic_ms;
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

}  // namespace hc
