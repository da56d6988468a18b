#include "engine/upgrade/inhibit.h"

#include <unistd.h>

#include <cerrno>

#include "engine/base/json.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::string_view kLock = ".lock";

}  // namespace

Result<FileLock> Inhibitors::hold(const std::string& why, const std::string& who) const {
  HC_TRY(make_dirs(directory_));
  const std::string name = std::to_string(::getpid());
  FileLock lock = HC_TRY(FileLock::take(directory_ / (name + std::string(kLock))));
  HC_TRY(write_atomically(directory_ / (name + ".json"), dump_json({{"why", why}, {"who", who}, {"pid", ::getpid()}})));
  return lock;
}

Result<std::vector<Inhibitors::Reason>> Inhibitors::held() const {
  std::vector<Reason> reasons;
  for (const std::string& file : HC_TRY(list_dir(directory_))) {
    if (!file.ends_with(kLock)) continue;
    const fs::path about = directory_ / (file.substr(0, file.size() - kLock.size()) + ".json");
    if (FileLock::take(directory_ / file)) {
      // Nobody holds it any more.
      ::unlink(about.c_str());
      ::unlink((directory_ / file).c_str());
      continue;
    }
    Reason reason{"no reason given", "unknown", 0};
    const auto text = read_file_if_exists(about, 64 << 10);
    const auto json = text && *text ? parse_json(**text) : Result<Json>(Error(Code::invalid, "empty"));
    if (json && json->is_object()) reason = {json->value("why", ""), json->value("who", ""), json->value("pid", 0)};
    reasons.push_back(std::move(reason));
  }
  return reasons;
}

Status Inhibitors::check() const {
  std::string text;
  for (const Reason& reason : HC_TRY(held())) {
    text += (text.empty() ? "" : "; ") + printable(reason.why) + " (" + printable(reason.who) + ", pid " +
            std::to_string(reason.pid) + ")";
  }
  if (text.empty()) return ok;
  return Error(Code::busy, "upgrades are held off: " + text)
      .with_hint("wait until that has ended, or end that process");
}

}  // namespace hc
