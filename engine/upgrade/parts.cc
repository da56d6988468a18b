#include "engine/upgrade/parts.h"

#include <algorithm>

#include "bootloader/factory.h"
#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/upgrade/parcel.h"
#include "engine/upgrade/run_transaction.h"

namespace hc {
namespace {

std::string bootloader_kind(const Node& node, const Settings& settings) {
  if (settings.bootloader != "auto") return settings.bootloader;
  std::error_code error;
  if (fs::exists(node.boot / "loader/loader.conf", error)) return "systemd-boot";
  if (fs::exists(node.boot / "uboot.env", error)) return "uboot";
  return "grub";
}

}  // namespace

Status NodeParts::open_all() {
  settings = HC_TRY(Settings::load(node.etc / "honeycomb.conf"));
  os_store = HC_TRY(OsStore::open(node.sysroot, node.stateroot));
  boot = HC_TRY(make_boot_control(bootloader_kind(node, settings), node.boot));
  os_slots = std::make_unique<OsSlots>(*os_store, *boot);
  os_switch = std::make_unique<OsSwitch>(*boot, settings.tries);
  source = std::make_unique<NodeSource>(node, settings, os_store->repository(), records, clock);
  return learn_what_is_in_use();
}

Result<std::vector<Target>> NodeParts::targets() const {
  std::vector<Target> found = {Target::os()};
  for (const std::string& entry : HC_TRY(list_dir(node.state / "peripherals"))) {
    if (auto target = Target::parse(entry)) found.push_back(std::move(target).value());
  }
  return found;
}

Result<NodeParts::TargetParts*> NodeParts::target(const Target& target) {
  TargetParts& parts = targets_[target];
  if (parts.slots != nullptr) return &parts;
  if (target.is_os()) {
    parts.slots = os_slots.get();
    parts.choice = os_switch.get();
    parts.book = std::make_unique<HookBook>(node, os_store->repository(), *parts.slots);
    return &parts;
  }
  parts.store = HC_TRY(PeripheralStore::open(node.state / "peripherals" / target.name(), os_store->repository()));
  parts.link = std::make_unique<PeripheralSwitch>(*parts.store);
  parts.slots = parts.store.get();
  parts.choice = parts.link.get();
  parts.book = std::make_unique<HookBook>(node, os_store->repository(), *parts.slots);
  return &parts;
}

Result<std::optional<Slot>> NodeParts::in_use(const Target& target) {
  if (target.is_os()) return node.booted;
  TargetParts* parts = HC_TRY(this->target(target));
  return parts->choice->confirmed();
}

Result<Side> NodeParts::side(const Target& target, Slot slot) {
  TargetParts* parts = HC_TRY(this->target(target));
  const std::optional<SlotContent> content = HC_TRY(parts->slots->content(slot));
  if (!content) return Side{slot, "", "", 0};
  Side side{slot, content->commit.hex(), content->version, 0};
  const CommitObject object = HC_TRY(os_store->repository().commit_object(content->commit));
  // A first version may have been put there by plain OSTree, without a manifest.
  if (const auto manifest = read_manifest(object.bytes)) side.sequence = manifest->sequence;
  return side;
}

Status NodeParts::learn_about(const Target& target) {
  NodeSource::InUse use;
  const std::optional<Slot> current = HC_TRY(in_use(target));
  for (const Slot slot : {Slot::a, Slot::b}) {
    const Side here = HC_TRY(side(target, slot));
    if (!here.commit.empty()) use.commits.insert(here.commit);
    if (current != slot) continue;
    use.version = here.version;
    use.sequence = here.sequence;
  }
  source->in_use[target.name()] = std::move(use);
  return ok;
}

Status NodeParts::learn_what_is_in_use() {
  source->in_use.clear();
  for (const Target& target : HC_TRY(targets())) {
    Status learned = learn_about(target);
    if (!learned && target.is_os()) return learned;
    // One damaged peripheral must not keep the OS from being confirmed.
    if (!learned) log(Level::warning, target.name() + ": " + learned.error().text());
  }
  return ok;
}

// On a trial boot the checks must have been good for soak_s in a row before deadline_s is over: services need time to
// come up, and a system that falls over after a minute must not be confirmed.
HealthReport NodeParts::run_health(const Transaction& t, const Listener& listener, const StopToken& stop) {
  HealthPlan plan;
  plan.directories = {node.lib / "health.d", node.etc / "health.d"};
  plan.root = node.root;
  plan.required_builtin = settings.required_checks;
  plan.wanted_builtin = settings.wanted_checks;
  plan.hub = settings.hub;
  plan.timeout_ms = settings.check_timeout_s * 1000;
  plan.state_directory = node.state;
  plan.secrets = node.etc / "secrets";
  // A mistake in node.json must not fail a check that may be needed.
  plan.fitted = [this](const std::string& name) {
    const auto peripheral = Target::parse(name);
    const auto known = peripheral ? fitted(*peripheral) : Result<bool>(true);
    return !known || *known;
  };
  if (const auto time = source->known_good_time()) plan.not_before_s = *time;
  const bool trial = t.step == "health";
  if (trial) plan.passed_before = t.passed_before;
  const std::int64_t begun = clock.monotonic_ms();
  std::optional<std::int64_t> good_since;
  constexpr std::int64_t kPauseMs = 2000;
  while (true) {
    HealthReport report = hc::run_health(plan, hooks, stop, listener.hook);
    const std::int64_t now = clock.monotonic_ms();
    if (!trial || stop.requested()) return report;
    if (report.healthy && !good_since) good_since = now;
    if (!report.healthy) good_since.reset();
    if (good_since && now - *good_since >= settings.soak_s * 1000) return report;
    if (!report.healthy && now - begun >= settings.deadline_s * 1000) return report;
    clock.sleep_ms(std::min(kPauseMs, settings.soak_s * 1000 + 100));
  }
}

Result<bool> NodeParts::same_content(const std::string& commit, const Commit& other) const {
  if (commit.empty()) return false;
  const Commit one = HC_TRY(Commit::parse(commit));
  const TreeDiff diff = HC_TRY(os_store->repository().diff(one, other, StopToken()));
  return diff.added.empty() && diff.removed.empty() && diff.changed.empty();
}

Result<FileLock> NodeParts::lock() const {
  HC_TRY(make_dirs(node.state));
  return FileLock::take(node.state / "lock");
}

Result<bool> NodeParts::fitted(const Target& target) const {
  if (target.is_os()) return true;
  const Inventory inventory = HC_TRY(Inventory::load(node.etc / "node.json"));
  return inventory.fitted(target);
}

Result<PeripheralMetadata> NodeParts::metadata(const Side& side) const {
  const Commit commit = HC_TRY(Commit::parse(side.commit));
  return metadata_of(os_store->repository(), commit);
}

Result<std::vector<Transaction>> NodeParts::carried(Transaction& os, const VerifiedPayload& payload) {
  std::vector<Transaction> all;
  for (const Parcel& parcel : HC_TRY(parcels_of(os_store->repository(), payload))) {
    const Target& target = parcel.metadata.target;
    const auto leave_out = [&](const char* why) {
      std::string note = target.name();
      os.notes.push_back(
          note.append(" ").append(parcel.metadata.config_version.text()).append(" is left out: ").append(why));
    };
    const bool for_this_model =
        parcel.metadata.compatible.empty() ||
        std::any_of(parcel.metadata.compatible.begin(), parcel.metadata.compatible.end(),
                    [&](const std::string& pattern) { return glob_match(pattern, settings.model); });
    if (!HC_TRY(fitted(target))) {
      leave_out("not fitted on this node");
      continue;
    }
    if (!for_this_model) {
      leave_out("not for this model");
      continue;
    }
    const std::optional<Slot> current = HC_TRY(in_use(target));
    const Side from = current ? HC_TRY(side(target, *current)) : Side{};
    if (HC_TRY(same_content(from.commit, parcel.payload.commit()))) continue;
    const std::string& version = parcel.metadata.config_version.text();
    const Side to{current ? other(*current) : Slot::a, parcel.payload.commit().hex(), version, 0};
    const Request request{target, version, os.requested_by, os.again};
    Transaction t = HC_TRY(new_transaction(*this, TransactionKind::deploy, request, from, to));
    t.part_of = os.id;
    all.push_back(std::move(t));
  }
  return all;
}

Result<Machine> NodeParts::machine(const Target& target, const Listener& listener, Records& journal) {
  TargetParts* parts = HC_TRY(this->target(target));
  Machine m{*source,  *parts->slots, *parts->choice, hooks,       journal, clock, BootNow{node.boot_id, node.booted},
            listener, nullptr,       nullptr,        std::nullopt};
  const HookBook* book = parts->book.get();
  m.hook_call = [book](const Transaction& t, const HookQuestion& question) { return book->call(t, question); };
  m.health = [this, listener](const Transaction& t, const StopToken& stop) { return run_health(t, listener, stop); };
  if (target.is_os()) {
    m.carried = [this](Transaction& os, const VerifiedPayload& payload) { return carried(os, payload); };
    m.machine_of = [this, listener](const Target& other, Records& of) { return machine(other, listener, of); };
    return m;
  }
  m.fitted = [this, target] { return fitted(target); };
  m.snapshots = &snapshots;
  m.metadata = [this](const Side& side) { return metadata(side); };
  return m;
}

}  // namespace hc
