#include "tests/crash/sim_node.h"

#include <algorithm>
#include <set>

#include "engine/payload/keys.h"
#include "engine/payload/signature.h"
#include "engine/store/repository.h"

namespace hc::sim {
namespace {

constexpr std::size_t index_of(Slot slot) { return slot == Slot::a ? 0 : 1; }

struct Signed {
  Commit commit;
  CommitObject object;
  Keyring keyring;
};

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  return std::move(result).value();
}

// A real signed commit object, so that the simulated node passes the real gate.
Signed make_signed(const Target& target) {
  Manifest manifest;
  manifest.kind = target.is_os() ? PayloadKind::os : PayloadKind::peripheral;
  manifest.target = target;
  manifest.version = must(Version::parse("new"));
  manifest.sequence = 2;
  const std::string checksum(32, '\1');
  const auto bytes_variant = [&] {
    return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, checksum.data(), checksum.size(), 1);
  };
  const Variant metadata = manifest.to_metadata();
  GVariantBuilder related;
  g_variant_builder_init(&related, G_VARIANT_TYPE("a(say)"));
  const Variant commit(g_variant_ref_sink(g_variant_new(
      "(@a{sv}@aya(say)sst@ay@ay)", metadata.get(), g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, nullptr, 0, 1),
      &related, "subject", "", guint64{0}, bytes_variant(), bytes_variant())));
  CommitObject object;
  object.bytes.assign(static_cast<const char*>(g_variant_get_data(commit.get())), g_variant_get_size(commit.get()));
  const PrivateKey key = must(PrivateKey::generate());
  object.detached = must(append_signature("", must(key.sign(object.bytes))));
  Keyring keyring;
  keyring.keys.push_back({"release", key.public_raw(), {"*"}, "release.pub"});
  return {commit_of(object.bytes), std::move(object), std::move(keyring)};
}

const Signed& signed_payload(const Target& target) {
  static std::map<std::string, Signed> made;
  auto it = made.find(target.name());
  if (it == made.end()) it = made.emplace(target.name(), make_signed(target)).first;
  return it->second;
}

// The commit that a version of the simulation stands for.
std::string commit_hex(const Target& target, const std::string& version) {
  if (version == "new") return signed_payload(target).commit.hex();
  return std::string(64, version == "old" ? 'a' : (version == "older" ? 'b' : 'c'));
}

}  // namespace

class SimRecords final : public Records {
 public:
  explicit SimRecords(SimNode& node) : node_(node) {}
  Result<std::optional<Json>> read(const std::string& name) override {
    const auto it = node_.records_.find(name);
    // Through text, as on a disk: what does not survive that must not be relied on.
    if (it == node_.records_.end()) return std::optional<Json>();
    return std::optional(must(parse_json(it->second.dump())));
  }
  Status write(const std::string& name, const Json& document) override {
    return node_.write([&] { node_.records_[name] = document; });
  }
  Status remove(const std::string& name) override {
    return node_.write([&] { node_.records_.erase(name); });
  }
  Result<std::vector<std::string>> list(const std::string& folder) override {
    std::vector<std::string> names;
    for (const auto& [name, document] : node_.records_)
      if (name.starts_with(folder + "/")) names.push_back(name);
    return names;
  }

 private:
  SimNode& node_;
};

class SimSlots final : public SlotStore {
 public:
  SimSlots(SimNode& node, SimTarget& on) : node_(node), on_(on) {}

  Result<std::optional<SlotContent>> content(Slot slot) override {
    const std::optional<std::string>& id = on_.slots[index_of(slot)];
    if (!id) return std::optional<SlotContent>();
    const std::string version = on_.installations.at(*id);
    return std::optional(
        SlotContent{*id, must(Commit::parse(commit_hex(on_.target, version))), version, fs::path("/sim") / *id, 0});
  }
  Result<SlotSpace> space_for(const VerifiedPayload& /*payload*/) override { return SlotSpace{}; }
  Result<std::vector<std::string>> rehearse(Slot /*slot*/, const VerifiedPayload& /*payload*/) override {
    return std::vector<std::string>();
  }

  Result<SlotContent> stage(Slot slot, const VerifiedPayload& /*payload*/, const ProgressFn& /*progress*/,
                            const StopToken& /*stop*/) override {
    HC_TRY(sweep());
    const std::string id = "i" + std::to_string(on_.next_serial++);
    HC_TRY(node_.write([&] { on_.installations[id] = "partial"; }));
    HC_TRY(node_.write([&] { on_.installations[id] = "new"; }));
    if (!on_.held) HC_TRY(node_.write([&] { on_.held = on_.slots[index_of(slot)].value_or(""); }));
    HC_TRY(node_.write([&] { on_.slots[index_of(slot)] = id; }));
    HC_TRY(sweep());
    const std::optional<SlotContent> staged = HC_TRY(content(slot));
    return *staged;
  }
  Status check(Slot slot, const Commit& commit, const ProgressFn& /*progress*/, const StopToken& /*stop*/) override {
    const std::optional<SlotContent> there = HC_TRY(content(slot));
    if (there && there->commit == commit) return ok;
    return Error(Code::io, "the slot does not hold the commit");
  }
  Status restore(Slot slot, const std::optional<std::string>& id) override {
    HC_TRY(node_.write([&] { on_.slots[index_of(slot)] = id; }));
    HC_TRY(node_.write([&] { on_.held.reset(); }));
    return sweep();
  }
  Result<std::vector<std::string>> release() override {
    if (on_.held) HC_TRY(node_.write([&] { on_.held.reset(); }));
    HC_TRY(sweep());
    return std::vector<std::string>();
  }

 private:
  Status sweep() {
    const std::set<std::string> wanted = {on_.slots[0].value_or(""), on_.slots[1].value_or(""), on_.held.value_or("")};
    std::vector<std::string> garbage;
    for (const auto& [id, version] : on_.installations)
      if (!wanted.contains(id)) garbage.push_back(id);
    for (const std::string& id : garbage) {
      if (on_.target.is_os() && id == node_.running_) node_.broken_ = "the system that runs was removed";
      HC_TRY(node_.write([&] { on_.installations.erase(id); }));
    }
    return ok;
  }
  SimNode& node_;
  SimTarget& on_;
};

// The bootloader's environment as the engine writes it; the firmware's own writes are not interrupted.
class SimBoot final : public BootControl {
 public:
  explicit SimBoot(SimNode& node) : node_(node) {}
  std::string_view kind() const override { return "sim"; }
  Status check() override { return ok; }
  Result<BootState> state() override { return node_.flash_.state(); }
  Result<std::optional<BootEntry>> entry(Slot slot) override { return node_.flash_.entry(slot); }
  Status install_entry(Slot slot, const BootEntry& entry) override { return node_.flash_.install_entry(slot, entry); }
  Status remove_entry(Slot slot) override { return node_.flash_.remove_entry(slot); }
  Status arm(Slot slot, unsigned tries) override {
    return flash([&] { return node_.flash_.arm(slot, tries); });
  }
  Status confirm(Slot slot) override {
    return flash([&] { return node_.flash_.confirm(slot); });
  }
  Status disarm() override {
    return flash([&] { return node_.flash_.disarm(); });
  }

 private:
  template <typename Change>
  Status flash(Change change) {
    Status result = ok;
    HC_TRY(node_.write([&] { result = change(); }));
    return result;
  }
  SimNode& node_;
};

class SimLink final : public Switch {
 public:
  SimLink(SimNode& node, SimTarget& on) : node_(node), on_(on) {}
  Result<std::optional<Slot>> confirmed() override { return on_.active; }
  Result<std::optional<Slot>> trial() override { return std::optional<Slot>(); }
  Status arm(Slot to) override { return back(to); }
  Status confirm(Slot to) override { return back(to); }
  Status back(std::optional<Slot> from) override {
    return node_.write([&] { on_.active = from; });
  }

 private:
  SimNode& node_;
  SimTarget& on_;
};

class SimSource final : public PayloadSource {
 public:
  SimSource(SimNode& node, SimTarget& on) : node_(node), on_(on) {}
  Result<Verdict> verify(const Transaction& t, const StopToken& /*stop*/) override {
    const Signed& payload = signed_payload(t.target);
    HC_TRY(node_.write([&] { on_.refs["pending"] = true; }));
    return TrustPolicy(payload.keyring, {}).verify(payload.commit, payload.object.bytes, payload.object.detached);
  }
  Status fetch(const Transaction& /*t*/, const VerifiedPayload& /*payload*/, const ProgressFn& /*progress*/,
               const StopToken& /*stop*/) override {
    return node_.write([&] { on_.refs["content"] = true; });
  }
  Status keep(const Transaction& t) override {
    HC_TRY(node_.write([&] { on_.refs["kept"] = true; }));
    return drop(t);
  }
  Status drop(const Transaction& /*t*/) override {
    return node_.write([&] { on_.refs.erase("pending"); });
  }

 private:
  SimNode& node_;
  SimTarget& on_;
};

class SimHooks final : public HookRunner {
 public:
  SimHooks(SimNode& node, SimTarget& on) : node_(node), on_(on) {}
  HookResult run(const HookCall& call, const HookListener& /*listener*/, const StopToken& /*stop*/) override {
    const std::string version = call.environment.at("VERSION");
    const std::string hook = call.program.filename().string();
    const bool back = call.environment.at("PHASE") == "rollback";
    HookResult result;
    result.attempts = 1;
    result.end = passes(hook, version, back) ? HookEnd::passed : HookEnd::said_no;
    result.exit_code = result.passed() ? 0 : 1;
    result.reason = hook + " said no";
    return result;
  }

 private:
  bool passes(const std::string& hook, const std::string& version, bool back) {
    if (hook == file_name(HookKind::state_check)) return on_.behaviour.needed;
    if (hook == file_name(HookKind::verify)) {
      if (!on_.target.is_os() && on_.device != version) return false;
      return back || on_.behaviour.verify_passes;
    }
    if (!node_.write([&] { on_.device = "half"; })) return false;
    if (!back && !on_.behaviour.install_passes) return false;
    return bool(node_.write([&] { on_.device = version; }));
  }
  SimNode& node_;
  SimTarget& on_;
};

namespace {

class SimClock final : public Clock {
 public:
  std::int64_t wall_seconds() const override { return 0; }
  std::int64_t monotonic_ms() const override { return 0; }
  void sleep_ms(std::int64_t /*ms*/) override {}
};

}  // namespace

SimNode::SimNode(World world) : world_(std::move(world)) {
  own_.target = world_.target;
  own_.behaviour = {"", world_.install_passes, world_.verify_passes, world_.needed, false};
  for (const Device& device : world_.carried) {
    SimTarget on;
    on.target = must(Target::parse(device.name));
    on.behaviour = device;
    carried_.push_back(std::move(on));
  }
  for (const Slot slot : {Slot::a, Slot::b}) {
    const Status installed =
        flash_.install_entry(slot, {"title", "/vmlinuz", "", "ostree=/ostree/slots/" + std::string(name(slot))});
    if (!installed) throw std::runtime_error(installed.error().text());
  }
}
SimNode::~SimNode() = default;

Status SimNode::write(const std::function<void()>& change) {
  ++writes_;
  const auto fault = std::find_if(faults_.begin(), faults_.end(), [&](const Fault& f) { return f.at == writes_; });
  if (fault == faults_.end()) {
    change();
    return ok;
  }
  if (fault->kind == FaultKind::cut_before) throw PowerCut{};
  if (fault->kind == FaultKind::cut_after || fault->kind == FaultKind::error_after) change();
  if (fault->kind == FaultKind::cut_after) throw PowerCut{};
  return Error(Code::io, "Input/output error");
}

// The firmware starts slots until one comes up; a kernel that hangs is reset by the watchdog.
void SimNode::power_on() {
  ++boots_;
  for (SimTarget& on : carried_)
    if (on.behaviour.forgets && boots_ > 1 && on.device == "new") on.device = "factory";
  booted_.reset();
  running_.clear();
  for (int tries = 0; tries < 20; ++tries) {
    const auto choice = flash_.boot();
    if (!choice) return;
    const std::optional<std::string>& id = own_.slots[index_of(choice->slot)];
    const bool complete = id && own_.installations.contains(*id) && own_.installations.at(*id) != "partial";
    const bool on_trial = choice->slot == Slot::b;
    if (!complete || (on_trial && !world_.boots)) continue;
    booted_ = choice->slot;
    if (world_.target.is_os()) running_ = *id;
    return;
  }
}

namespace {

// The parts of one target, made anew at each start.
struct SimParts {
  SimParts(SimNode& node, SimTarget& on)
      : target(on), slots(node, on), link(node, on), source(node, on), hooks(node, on) {}

  SimTarget& target;
  SimSlots slots;
  SimLink link;
  SimSource source;
  SimHooks hooks;
};

Result<std::optional<HookCall>> hook_call(const Transaction& /*t*/, const HookQuestion& question) {
  if (question.kind == HookKind::rollback) return std::optional<HookCall>();
  HookCall call;
  call.program = fs::path("/sim") / file_name(question.kind);
  call.environment = {{"VERSION", question.side.version}, {"PHASE", question.phase}};
  return std::optional(call);
}

}  // namespace

Transaction SimNode::new_transaction(const SimTarget& on, TransactionKind kind) const {
  Transaction t;
  t.id = 1;
  t.kind = kind;
  t.target = on.target;
  t.from = {Slot::a, commit_hex(on.target, "old"), "old", 1};
  t.to = {Slot::b, commit_hex(on.target, "new"), "new", 2};
  if (kind == TransactionKind::rollback) t.to = {Slot::b, commit_hex(on.target, "older"), "older", 0};
  t.replaced = "second";
  t.step = std::string(first_step(kind, on.target));
  t.boot_id = "boot-" + std::to_string(boots_);
  return t;
}

bool SimNode::live(std::vector<Fault> faults) {
  faults_ = std::move(faults);
  SimRecords records(*this);
  SimBoot boot(*this);
  OsSwitch os_switch(boot, world_.tries);
  SimClock clock;
  SimParts own(*this, own_);
  std::map<std::string, SimParts> parts;
  for (SimTarget& on : carried_) parts.try_emplace(on.target.name(), *this, on);
  bool asked = false;
  for (int start = 0; start < 40; ++start) {
    power_on();
    if (world_.target.is_os() && !booted_) return true;  // violation() says so
    const auto machine_on = [&](SimParts& on, Records& journal) {
      Switch& choice = on.target.target.is_os() ? static_cast<Switch&>(os_switch) : on.link;
      Machine machine{on.source,
                      on.slots,
                      choice,
                      on.hooks,
                      journal,
                      clock,
                      BootNow{"boot-" + std::to_string(boots_), booted_},
                      Listener{},
                      nullptr,
                      nullptr,
                      std::nullopt};
      machine.hook_call = hook_call;
      machine.health = [this](const Transaction&, const StopToken&) {
        HealthReport report;
        report.healthy = booted_ != Slot::b || world_.healthy;
        report.why = report.healthy ? "" : "a required check failed";
        return report;
      };
      return machine;
    };
    Machine machine = machine_on(own, records);
    if (world_.target.is_os()) {
      machine.carried = [this](Transaction& os, const VerifiedPayload&) -> Result<std::vector<Transaction>> {
        std::vector<Transaction> all;
        for (const SimTarget& on : carried_) {
          all.push_back(new_transaction(on, TransactionKind::deploy));
          all.back().part_of = os.id;
        }
        return all;
      };
      machine.machine_of = [&](const Target& target, Records& journal) -> Result<Machine> {
        return machine_on(parts.at(target.name()), journal);
      };
    }
    try {
      std::optional<Transaction> t = must(read_journal(records));
      if (!t && asked) {
        bool tidied = true;
        const auto tidy_one = [&](SimParts& on) {
          Machine its = machine_on(on, records);
          Transaction last;
          last.target = on.target.target;
          tidied = bool(tidy(its, last)) && tidied;
        };
        tidy_one(own);
        for (auto& [name, on] : parts) tidy_one(on);
        if (tidied) return true;
        continue;
      }
      if (!t) t = new_transaction(own_, world_.kind);
      asked = true;
      const StopToken never;
      if (!advance(*t, machine, never)) continue;
    } catch (const PowerCut&) {
    }
  }
  return false;
}

bool SimNode::end_is_new(const SimTarget& on) const {
  if (!on.target.is_os()) return on.active == Slot::b;
  return const_cast<FakeBootControl&>(flash_).state()->confirmed == Slot::b;
}

std::optional<Outcome> SimNode::outcome() const { return outcome_of(1); }

std::optional<Outcome> SimNode::outcome_of(std::uint64_t id) const {
  const auto it = records_.find("history/0000000" + std::to_string(id));
  if (it == records_.end()) return std::nullopt;
  return must(transaction_from(it->second)).outcome;
}

bool SimNode::cut_off_a_hook() const {
  const auto it = records_.find("history/00000001");
  if (it == records_.end()) return false;
  const Transaction t = must(transaction_from(it->second));
  return t.failure && t.failure->text.find("install hook was cut off") != std::string::npos;
}

std::string SimNode::violation() const {
  const bool os = world_.target.is_os();
  const BootState flash = *const_cast<FakeBootControl&>(flash_).state();
  if (os && !booted_) return "no slot comes up";
  if (!broken_.empty()) return broken_;
  if (records_.contains("transaction")) return "the journal was left behind";
  if (os && flash.trial) return "a trial was left armed";
  if (os && booted_ != flash.confirmed) return "the node does not run its confirmed slot";
  const std::string own = violation_of(own_, outcome());
  if (!own.empty()) return own;
  std::uint64_t id = 1;
  for (const SimTarget& on : carried_) {
    const std::string text = violation_of(on, outcome_of(++id));
    if (!text.empty()) return on.target.name() + ": " + text;
    // One transaction: what the OS brings is there with it, and only with it.
    const bool wanted = end_is_new(own_) && on.behaviour.needed;
    if (wanted != end_is_new(on)) return on.target.name() + " is not at the version of the OS";
    if (!records_.contains("degraded/" + on.target.name())) continue;
    return on.target.name() + " is called degraded";
  }
  return "";
}

std::string SimNode::violation_of(const SimTarget& on, std::optional<Outcome> ended) const {
  const bool os = on.target.is_os();
  if (!on.slots[0] || on.installations.at(*on.slots[0]) != "old") return "the old version is gone";
  if (on.installations.size() != 2) return std::to_string(on.installations.size()) + " installations are on the disk";
  if (on.held) return "the replaced installation is still held";
  if (on.refs.contains("pending")) return "the pending ref was left behind";

  const bool is_new = end_is_new(on);
  const bool rolled_back = &on == &own_ && world_.kind == TransactionKind::rollback;
  const std::string target_version = rolled_back ? "older" : (is_new ? "new" : "older");
  if (!on.slots[1] || on.installations.at(*on.slots[1]) != target_version)
    return "slot b does not hold " + target_version;
  if (!is_new && *on.slots[1] != "second") return "slot b is not what it was";
  if (!os && on.device != (is_new ? target_version : "old")) return "the device is set to " + on.device;
  if (is_new != (ended == Outcome::confirmed)) return "the history tells another end";
  return "";
}

std::string SimNode::picture() const {
  std::string text;
  const auto add = [&](const SimTarget& on) {
    text += on.target.name() + " device=" + on.device;
    for (const auto& id : on.slots) text += " slot=" + (id ? *id + ":" + on.installations.at(*id) : std::string("-"));
    text += "; ";
  };
  add(own_);
  for (const SimTarget& on : carried_) add(on);
  return text + "outcome=" + std::string(outcome() ? name(*outcome()) : "none");
}

}  // namespace hc::sim
