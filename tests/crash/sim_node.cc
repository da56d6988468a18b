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
  static const Signed os = make_signed(Target::os());
  static const Signed camera = make_signed(must(Target::parse("ptz-camera")));
  return target.is_os() ? os : camera;
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
    return it == node_.records_.end() ? std::optional<Json>() : std::optional(it->second);
  }
  Status write(const std::string& name, const Json& document) override {
    // Through text, as on a disk: what does not survive that must not be relied on.
    Json read_back = must(parse_json(dump_json(document)));
    return node_.write([&] { node_.records_[name] = read_back; });
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
  explicit SimSlots(SimNode& node) : node_(node) {}

  Result<std::optional<SlotContent>> content(Slot slot) override {
    const std::optional<std::string>& id = node_.slots_[index_of(slot)];
    if (!id) return std::optional<SlotContent>();
    const std::string version = node_.installations_.at(*id);
    return std::optional(SlotContent{*id, must(Commit::parse(commit_hex(node_.world_.target, version))), version,
                                     fs::path("/sim") / *id, 0});
  }
  Result<SlotSpace> space_for(const VerifiedPayload& /*payload*/) override { return SlotSpace{}; }
  Result<std::vector<std::string>> rehearse(Slot /*slot*/, const VerifiedPayload& /*payload*/) override {
    return std::vector<std::string>();
  }

  Result<SlotContent> stage(Slot slot, const VerifiedPayload& /*payload*/, const ProgressFn& /*progress*/,
                            const StopToken& /*stop*/) override {
    HC_TRY(sweep());
    const std::string id = "i" + std::to_string(node_.next_serial_++);
    HC_TRY(node_.write([&] { node_.installations_[id] = "partial"; }));
    HC_TRY(node_.write([&] { node_.installations_[id] = "new"; }));
    if (!node_.held_) HC_TRY(node_.write([&] { node_.held_ = node_.slots_[index_of(slot)].value_or(""); }));
    HC_TRY(node_.write([&] { node_.slots_[index_of(slot)] = id; }));
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
    HC_TRY(node_.write([&] { node_.slots_[index_of(slot)] = id; }));
    HC_TRY(node_.write([&] { node_.held_.reset(); }));
    return sweep();
  }
  Result<std::vector<std::string>> release() override {
    if (node_.held_) HC_TRY(node_.write([&] { node_.held_.reset(); }));
    HC_TRY(sweep());
    return std::vector<std::string>();
  }

 private:
  Status sweep() {
    const std::set<std::string> wanted = {node_.slots_[0].value_or(""), node_.slots_[1].value_or(""),
                                          node_.held_.value_or("")};
    std::vector<std::string> garbage;
    for (const auto& [id, version] : node_.installations_)
      if (!wanted.contains(id)) garbage.push_back(id);
    for (const std::string& id : garbage) {
      if (id == node_.running_) node_.broken_ = "the system that runs was removed";
      HC_TRY(node_.write([&] { node_.installations_.erase(id); }));
    }
    return ok;
  }
  SimNode& node_;
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
  explicit SimLink(SimNode& node) : node_(node) {}
  Result<std::optional<Slot>> confirmed() override { return node_.active_; }
  Result<std::optional<Slot>> trial() override { return std::optional<Slot>(); }
  Status arm(Slot to) override { return back(to); }
  Status confirm(Slot to) override { return back(to); }
  Status back(std::optional<Slot> from) override {
    return node_.write([&] { node_.active_ = from; });
  }

 private:
  SimNode& node_;
};

class SimSource final : public PayloadSource {
 public:
  explicit SimSource(SimNode& node) : node_(node) {}
  Result<Verdict> verify(const Transaction& t, const StopToken& /*stop*/) override {
    const Signed& payload = signed_payload(t.target);
    HC_TRY(node_.write([&] { node_.refs_["pending"] = true; }));
    return TrustPolicy(payload.keyring, {}).verify(payload.commit, payload.object.bytes, payload.object.detached);
  }
  Status fetch(const Transaction& /*t*/, const VerifiedPayload& /*payload*/, const ProgressFn& /*progress*/,
               const StopToken& /*stop*/) override {
    return node_.write([&] { node_.refs_["content"] = true; });
  }
  Status keep(const Transaction& t) override {
    HC_TRY(node_.write([&] { node_.refs_["kept"] = true; }));
    return drop(t);
  }
  Status drop(const Transaction& /*t*/) override {
    return node_.write([&] { node_.refs_.erase("pending"); });
  }

 private:
  SimNode& node_;
};

class SimHooks final : public HookRunner {
 public:
  explicit SimHooks(SimNode& node) : node_(node) {}
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
    if (hook == file_name(HookKind::state_check)) return node_.world_.needed;
    if (hook == file_name(HookKind::verify)) {
      if (!node_.world_.target.is_os() && node_.device_ != version) return false;
      return back || node_.world_.verify_passes;
    }
    if (!node_.write([&] { node_.device_ = "half"; })) return false;
    if (!back && !node_.world_.install_passes) return false;
    return bool(node_.write([&] { node_.device_ = version; }));
  }
  SimNode& node_;
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
  installations_ = {{"first", "old"}, {"second", "older"}};
  slots_ = {"first", "second"};
  for (const Slot slot : {Slot::a, Slot::b}) {
    const Status installed =
        flash_.install_entry(slot, {"title", "/vmlinuz", "", "ostree=/ostree/slots/" + std::string(name(slot))});
    if (!installed) throw std::runtime_error(installed.error().text());
  }
  active_ = Slot::a;
  device_ = "old";
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
  booted_.reset();
  running_.clear();
  for (int tries = 0; tries < 20; ++tries) {
    const auto choice = flash_.boot();
    if (!choice) return;
    const std::optional<std::string>& id = slots_[index_of(choice->slot)];
    const bool complete = id && installations_.contains(*id) && installations_.at(*id) != "partial";
    const bool on_trial = choice->slot == Slot::b;
    if (!complete || (on_trial && !world_.boots)) continue;
    booted_ = choice->slot;
    if (world_.target.is_os()) running_ = *id;
    return;
  }
}

bool SimNode::live(std::vector<Fault> faults) {
  faults_ = std::move(faults);
  SimRecords records(*this);
  SimSlots slots(*this);
  SimBoot boot(*this);
  OsSwitch os_switch(boot, world_.tries);
  SimLink link(*this);
  SimSource source(*this);
  SimHooks hooks(*this);
  SimClock clock;
  bool asked = false;
  for (int start = 0; start < 40; ++start) {
    power_on();
    if (world_.target.is_os() && !booted_) return true;  // violation() says so
    Machine machine{source,
                    slots,
                    world_.target.is_os() ? static_cast<Switch&>(os_switch) : link,
                    hooks,
                    records,
                    clock,
                    BootNow{"boot-" + std::to_string(boots_), booted_},
                    Listener{},
                    nullptr,
                    nullptr,
                    std::nullopt};
    machine.hook_call = [](const Transaction&, const HookQuestion& question) -> Result<std::optional<HookCall>> {
      if (question.kind == HookKind::rollback) return std::optional<HookCall>();
      HookCall call;
      call.program = fs::path("/sim") / file_name(question.kind);
      call.environment = {{"VERSION", question.side.version}, {"PHASE", question.phase}};
      return std::optional(call);
    };
    machine.health = [this](const Transaction&, const StopToken&) {
      HealthReport report;
      report.healthy = booted_ != Slot::b || world_.healthy;
      report.why = report.healthy ? "" : "a required check failed";
      return report;
    };
    try {
      std::optional<Transaction> t = must(read_journal(records));
      if (!t && asked) {
        Transaction last;
        last.target = world_.target;
        if (tidy(machine, last)) return true;
        continue;
      }
      if (!t) {
        asked = true;
        t.emplace();
        t->id = 1;
        t->kind = world_.kind;
        t->target = world_.target;
        t->from = {Slot::a, commit_hex(world_.target, "old"), "old", 1};
        t->to = {Slot::b, commit_hex(world_.target, "new"), "new", 2};
        if (world_.kind == TransactionKind::rollback) t->to = {Slot::b, commit_hex(world_.target, "older"), "older", 0};
        t->replaced = "second";
        t->step = std::string(first_step(t->kind, t->target));
        t->boot_id = machine.now.boot_id;
      }
      const StopToken never;
      if (!advance(*t, machine, never)) continue;
    } catch (const PowerCut&) {
    }
  }
  return false;
}

bool SimNode::end_is_new() const {
  if (!world_.target.is_os()) return active_ == Slot::b;
  return const_cast<FakeBootControl&>(flash_).state()->confirmed == Slot::b;
}

std::optional<Outcome> SimNode::outcome() const {
  const auto it = records_.find("history/00000001");
  if (it == records_.end()) return std::nullopt;
  return must(transaction_from(it->second)).outcome;
}

std::string SimNode::violation() const {
  const bool os = world_.target.is_os();
  const BootState flash = *const_cast<FakeBootControl&>(flash_).state();
  if (os && !booted_) return "no slot comes up";
  if (!broken_.empty()) return broken_;
  if (records_.contains("transaction")) return "the journal was left behind";
  if (os && flash.trial) return "a trial was left armed";
  if (os && booted_ != flash.confirmed) return "the node does not run its confirmed slot";
  if (!slots_[0] || installations_.at(*slots_[0]) != "old") return "the old version is gone";
  if (installations_.size() != 2) return std::to_string(installations_.size()) + " installations are on the disk";
  if (held_) return "the replaced installation is still held";
  if (refs_.contains("pending")) return "the pending ref was left behind";

  const bool is_new = end_is_new();
  const std::string target_version = world_.kind == TransactionKind::rollback ? "older" : (is_new ? "new" : "older");
  if (!slots_[1] || installations_.at(*slots_[1]) != target_version) return "slot b does not hold " + target_version;
  if (!is_new && *slots_[1] != "second") return "slot b is not what it was";
  if (!os && device_ != (is_new ? target_version : "old")) return "the device is set to " + device_;
  if (is_new != (outcome() == Outcome::confirmed)) return "the history tells another end";
  return "";
}

std::string SimNode::picture() const {
  std::string text = "device=" + device_;
  for (const auto& id : slots_) text += " slot=" + (id ? *id + ":" + installations_.at(*id) : std::string("-"));
  text += " outcome=" + std::string(outcome() ? name(*outcome()) : "none");
  return text;
}

}  // namespace hc::sim
