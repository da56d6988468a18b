#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "engine/base/process.h"
#include "engine/base/text.h"
#include "engine/cli/reporter.h"
#include "engine/cli/service_link.h"

namespace hc {
namespace {

enum class State { good, warning, bad, skipped };

std::string_view name(State state) {
  constexpr std::string_view kNames[] = {"ok", "warning", "bad", "skipped"};
  return kNames[static_cast<std::size_t>(state)];
}

struct Finding {
  std::string check;
  State state = State::good;
  std::string text;
  std::string mend;
};

Finding from(const std::string& check, const Error& error) { return {check, State::bad, error.text(), error.hint()}; }

Finding boot_wiring(Upgrader& upgrader) {
  const Status checked = upgrader.check_boot();
  if (!checked && checked.error().code() == Code::busy)
    return {"boot wiring", State::skipped, checked.error().text(), checked.error().hint()};
  if (!checked) return from("boot wiring", checked.error());
  return {"boot wiring", State::good, "the bootloader can be told which slot to try", ""};
}

Finding running_slot(const NodeStatus& status) {
  const std::string check = "running slot";
  if (!status.node.booted)
    return {check, State::bad, "the node was not started from one of its slots",
            "start it with the kernel argument ostree=/ostree/slots/a or b"};
  for (const SlotStatus& slot : status.targets.front().slots) {
    if (!slot.booted) continue;
    const std::string letter(hc::name(slot.slot));
    if (slot.confirmed || slot.trial) return {check, State::good, "slot " + letter + " runs", ""};
    return {check, State::warning, "slot " + letter + " runs, but is not the confirmed one",
            "`hc-os confirm`, or restart the node"};
  }
  return {check, State::bad, "the running slot is not among the node's slots", "reinstall the node from its image"};
}

Finding degraded(const NodeStatus& status) {
  std::string text;
  for (const TargetStatus& target : status.targets)
    if (!target.problem.empty()) text += (text.empty() ? "" : "; ") + target.target.name() + ": " + target.problem;
  if (!text.empty())
    return {"targets", State::bad, text, "`hc-os repair` tries again now; `hc-os history` says what came last"};
  return {"targets", State::good, std::to_string(status.targets.size()) + " targets, none degraded", ""};
}

Finding unfinished(const NodeStatus& status) {
  const std::string check = "transactions";
  if (!status.transaction) return {check, State::good, "none is under way", ""};
  const std::string label = status.transaction->label();
  if (status.waits_for_reboot)
    return {check, State::warning, label + " waits for the node to restart", "restart it, or `hc-os rollback`"};
  return {check, State::warning, label + " is unfinished at step " + status.transaction->step,
          "`hc-os resume` carries it to its end"};
}

Finding trust(const Node& node) {
  const std::string check = "trust keys";
  const auto keyring = Keyring::load({node.lib, node.etc});
  if (!keyring) return from(check, keyring.error());
  const auto good = std::count_if(keyring->keys.begin(), keyring->keys.end(),
                                  [&](const TrustedKey& key) { return !keyring->revoked.contains(key.raw); });
  if (good == 0)
    return {check, State::bad, "no key is trusted, so nothing can be deployed",
            "put the public key of your payloads (*.pub) into " + (node.etc / "trust.d").string()};
  std::string warnings;
  for (const std::string& warning : keyring->warnings) warnings += (warnings.empty() ? "" : "; ") + warning;
  if (!warnings.empty()) return {check, State::warning, warnings, "mend or remove those files"};
  return {check, State::good, std::to_string(good) + " keys count", ""};
}

Finding remotes(Upgrader& upgrader) {
  const auto all = upgrader.remotes().all();
  if (!all) return from("remotes", all.error());
  if (all->empty())
    return {"remotes", State::warning, "there is no place that payloads come from", "`hc-os remote add NAME URL`"};
  return {"remotes", State::good, std::to_string(all->size()) + " known", ""};
}

Finding time_of_day(const std::vector<Transaction>& history, const Node& node) {
  const std::int64_t now = SystemClock().wall_seconds();
  std::int64_t newest = 0;
  for (const Transaction& t : history) newest = std::max(newest, t.ended_at);
  if (now < newest)
    return {"clock", State::bad, "it says " + iso_time(now) + ", but a transaction ended at " + iso_time(newest),
            "set the clock: `timedatectl set-ntp true`, and look for an empty battery"};
  const bool systemd = !node.is_sandbox() && ::access("/run/systemd/system", F_OK) == 0;
  if (systemd && ::access("/run/systemd/timesync/synchronized", F_OK) != 0 && ::access("/run/chrony", F_OK) != 0)
    return {"clock", State::warning, "nothing keeps it right", "`timedatectl set-ntp true`"};
  return {"clock", State::good, iso_time(now), ""};
}

Finding space(const std::string& check, const fs::path& path, std::uint64_t least) {
  constexpr std::uint64_t kLeastInodes = 10'000;
  const auto free = free_space(path);
  if (!free) return from(check, free.error());
  if (free->bytes < least)
    return {check, State::warning,
            human_bytes(free->bytes) + " free at " + path.string() + ", an upgrade may need " + human_bytes(least),
            "`hc-os gc`; unpin versions; lower keep_versions"};
  if (free->inodes < kLeastInodes)
    return {check, State::warning,
            "only " + std::to_string(free->inodes) + " files can still be made at " + path.string(),
            "`hc-os gc`, and remove what is not ours"};
  return {check, State::good, human_bytes(free->bytes) + " free at " + path.string(), ""};
}

// What the unit's state must be, and how to make it so.
Finding unit(const std::string& name, const char* question, const char* mend) {
  const auto asked = run_command({"systemctl", question, name});
  if (!asked) return from(name, asked.error());
  const std::string said(trimmed(asked->output.empty() ? asked->errors : asked->output));
  if (asked->status == 0) return {name, State::good, said, ""};
  return {name, State::bad, "it is " + said, std::string(mend) + " " + name};
}

std::vector<Finding> units(const Node& node) {
  if (node.is_sandbox() || ::access("/run/systemd/system", F_OK) != 0)
    return {{"units", State::skipped, "systemd does not run here", ""}};
  return {unit("honeycomb-boot.service", "is-enabled", "systemctl enable"),
          unit("honeycombd.socket", "is-active", "systemctl enable --now"),
          unit("honeycombd.service", "is-enabled", "systemctl enable --now")};
}

std::vector<Finding> integrity(const Session& session, Upgrader& upgrader, const NodeStatus& status) {
  std::vector<Finding> findings;
  ProgressBar bar(session.json || session.quiet);
  for (const TargetStatus& target : status.targets) {
    for (const SlotStatus& slot : target.slots) {
      if (!slot.content) continue;
      const std::string check = target.target.name() + " slot " + std::string(hc::name(slot.slot));
      const auto verdict = upgrader.verify(target.target, slot.slot, bar.fn(), session.stop);
      bar.finish();
      if (verdict) {
        findings.push_back({check, State::good, slot.content->version + " is as it was signed", ""});
        continue;
      }
      Finding bad = from(check, verdict.error());
      if (bad.mend.empty())
        bad.mend = slot.booted
                       ? "deploy a good version to the other slot, restart, then this one once more with --again"
                       : "deploy a version to it: `hc-os deploy VERSION --again`";
      findings.push_back(std::move(bad));
    }
  }
  return findings;
}

std::vector<Finding> examine(const Session& session, bool quick) {
  const auto opened = Upgrader::open(session.sysroot);
  if (!opened) return {from("node", opened.error())};
  Upgrader& upgrader = **opened;
  const Node& node = upgrader.node();
  constexpr std::uint64_t kState = 1'000'000'000;
  constexpr std::uint64_t kBoot = 100'000'000;
  std::vector<Finding> findings = {
      {"node", State::good, node.sysroot.string() + " is a node, its settings can be read", ""},
      boot_wiring(upgrader),
      trust(node),
      remotes(upgrader),
      space("space for versions", node.sysroot / "ostree", kState),
      space("space for kernels", node.boot, kBoot)};
  const auto history = upgrader.history();
  findings.push_back(history ? time_of_day(*history, node) : from("history", history.error()));
  for (Finding& finding : units(node)) findings.push_back(std::move(finding));
  const auto status = upgrader.status();
  if (!status) {
    findings.push_back(from("slots", status.error()));
    return findings;
  }
  findings.push_back(running_slot(*status));
  findings.push_back(degraded(*status));
  findings.push_back(unfinished(*status));
  if (quick) return findings;
  for (Finding& finding : integrity(session, upgrader, *status)) findings.push_back(std::move(finding));
  return findings;
}

}  // namespace

int doctor(const Session& session, bool quick) {
  const std::vector<Finding> findings = examine(session, quick);
  const bool well =
      std::none_of(findings.begin(), findings.end(), [](const Finding& f) { return f.state == State::bad; });
  Json list = Json::array();
  for (const Finding& finding : findings) {
    list.push_back(
        {{"check", finding.check}, {"state", name(finding.state)}, {"text", finding.text}, {"mend", finding.mend}});
    if (session.json || (session.quiet && finding.state != State::bad)) continue;
    std::printf("%-8s %-22s %s\n", std::string(name(finding.state)).c_str(), printable(finding.check).c_str(),
                printable(finding.text).c_str());
    if (!finding.mend.empty()) std::printf("%-8s %-22s   mend: %s\n", "", "", printable(finding.mend).c_str());
  }
  if (session.json) print_json({{"well", well}, {"checks", std::move(list)}});
  return well ? 0 : exit_status(Code::unhealthy);
}

}  // namespace hc
