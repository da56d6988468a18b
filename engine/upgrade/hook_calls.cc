#include "engine/upgrade/hook_calls.h"

#include <pwd.h>
#include <unistd.h>

#include <cerrno>

#include "engine/base/text.h"
#include "engine/payload/metadata.h"

namespace hc {
namespace {

// Where a payload keeps its hooks, below its root.
std::string hook_directory(const Target& target) { return target.is_os() ? "usr/lib/honeycomb/upgrade" : ""; }

HookNetwork network_of(const PeripheralMetadata& metadata) {
  switch (metadata.network) {
    case PeripheralMetadata::Network::open:
      return HookNetwork::open;
    case PeripheralMetadata::Network::none:
      return HookNetwork::none;
    case PeripheralMetadata::Network::loopback:
      return HookNetwork::loopback;
    case PeripheralMetadata::Network::hosts:
      break;
  }
  return HookNetwork::hosts;
}

void narrow(const PeripheralMetadata& metadata, HookCall& call) {
  call.user = metadata.user;
  call.devices = metadata.devices;
  call.network = network_of(metadata);
  call.hosts = metadata.hosts;
}

}  // namespace

Result<fs::path> HookBook::directory(const Transaction& t, const HookQuestion& question) const {
  const std::string below = hook_directory(t.target);
  if (question.kind != HookKind::state_check) {
    const std::optional<SlotContent> content = HC_TRY(slots_.content(*question.side.slot));
    if (!content || content->commit.hex() != question.side.commit) {
      return Error(Code::internal, "slot " + std::string(name(*question.side.slot)) + " does not hold version " +
                                       question.side.version + ", whose hook is wanted");
    }
    return content->root / below;
  }
  const fs::path work = node_.state / "work";
  const fs::path place = work / std::to_string(t.id);
  HC_TRY(remove_tree(place));
  HC_TRY(make_dirs(work, 0711));  // a hook may run as another user
  const Commit commit = HC_TRY(Commit::parse(question.side.commit));
  HC_TRY(repository_.checkout(commit, below, place));
  return place;
}

Status HookBook::set_limits(const Transaction& t, const HookQuestion& question, HookCall& call) const {
  if (t.target.is_os()) return ok;  // an OS payload has no metadata.json: the defaults hold
  const std::string text = HC_TRY(read_file(call.directory / "metadata.json", 1 << 20));
  const PeripheralMetadata metadata = HC_TRY(parse_metadata(text).in("metadata.json"));
  narrow(metadata, call);
  switch (question.kind) {
    case HookKind::state_check:
      call.retries = metadata.retry_state_check;
      call.timeout_ms = metadata.timeout_state_check_s * 1000;
      break;
    case HookKind::install:
    case HookKind::rollback:
      call.retries = metadata.retry_install;
      call.timeout_ms = metadata.timeout_install_s * 1000;
      break;
    case HookKind::verify:
      call.retries = metadata.retry_verify;
      call.timeout_ms = metadata.timeout_verify_s * 1000;
      break;
  }
  return ok;
}

// Only root could read them in the first place.
void HookBook::set_secrets(const Target& target, HookCall& call) const {
  const fs::path all = node_.etc / "secrets";
  std::error_code error;
  if (::geteuid() != 0) return;
  // The same directory may be reached by several ways.
  for (const Slot slot : {Slot::a, Slot::b}) {
    const fs::path in_slot =
        fs::canonical(node_.sysroot / "ostree/slots" / name(slot) / "etc/honeycomb/secrets", error);
    if (!error) call.hidden.push_back(in_slot);
  }
  if (!fs::is_directory(all, error)) return;
  call.hidden.push_back(all);
  const fs::path own = all / target.name();
  if (!target.is_os() && fs::is_directory(own, error)) call.credentials = own;
}

// Where the hooks of one target keep what they must remember; it is its hooks' own user's.
Result<fs::path> HookBook::state_directory(const Target& target, const std::string& user) const {
  fs::path state = node_.state / "state" / target.name();
  HC_TRY(make_dirs(state, 0755));
  if (::geteuid() != 0) return state;
  const passwd* entry = user.empty() ? nullptr : ::getpwnam(user.c_str());
  if (!user.empty() && entry == nullptr) return state;  // the runner says that there is no such user
  const uid_t uid = entry != nullptr ? entry->pw_uid : 0;
  const gid_t gid = entry != nullptr ? entry->pw_gid : 0;
  if (::lchown(state.c_str(), uid, gid) != 0)
    return Error::from_errno(errno, "giving " + state.string() + " to " + quote(user.empty() ? "root" : user));
  return state;
}

// The files of a slot are those of the repository and of the other slot: a hook that wrote into one would change all
// three. Its own slot's /etc and all of /var are its to change.
void HookBook::protect_slots(HookCall& call) const {
  std::error_code error;
  for (const Slot slot : {Slot::a, Slot::b}) {
    const fs::path usr = node_.sysroot / "ostree/slots" / name(slot) / "usr";
    if (fs::is_directory(usr, error)) call.read_only.push_back(fs::canonical(usr, error));
  }
  call.read_only.push_back(node_.sysroot / "ostree/repo");
}

Result<std::optional<HookCall>> HookBook::call(const Transaction& t, const HookQuestion& question) const {
  HookCall call;
  call.directory = HC_TRY(directory(t, question));
  call.program = call.directory / file_name(question.kind);
  std::error_code error;
  const bool optional_hook = t.target.is_os() || question.kind == HookKind::rollback;
  if (optional_hook && !fs::exists(fs::symlink_status(call.program, error))) return std::optional<HookCall>();
  HC_TRY(set_limits(t, question, call));
  if (question.kind == HookKind::state_check) call.final_status = 1;

  set_secrets(t.target, call);
  protect_slots(call);
  const fs::path state = HC_TRY(state_directory(t.target, call.user));
  const std::optional<SlotContent> content =
      question.side.slot ? HC_TRY(slots_.content(*question.side.slot)) : std::optional<SlotContent>();
  call.environment = {
      {"HC_TARGET", t.target.name()},
      {"HC_FROM_VERSION", t.from.version},
      {"HC_TO_VERSION", t.to.version},
      {"HC_PHASE", question.phase},
      {"HC_SLOT", question.side.slot ? std::string(name(*question.side.slot)) : ""},
      {"HC_SLOT_ROOT",
       content && question.kind != HookKind::state_check ? content->root.string() : node_.root.string()},
      {"HC_STATE_DIR", state.string()},
      {"HC_TRANSACTION", std::to_string(t.id)},
  };
  return std::optional(std::move(call));
}

}  // namespace hc
