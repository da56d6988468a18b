#include "engine/upgrade/upgrader.h"

// What programs are told about a node; hc-os --json and the API say the same.
namespace hc {
namespace {

Json to_json(const SlotStatus& slot) {
  Json json = {
      {"slot", name(slot.slot)}, {"running", slot.booted}, {"confirmed", slot.confirmed}, {"trial", slot.trial}};
  json["version"] = slot.content ? Json(slot.content->version) : Json(nullptr);
  json["commit"] = slot.content ? Json(slot.content->commit.hex()) : Json(nullptr);
  json["installation"] = slot.content ? Json(slot.content->id) : Json(nullptr);
  return json;
}

}  // namespace

Json to_json(const NodeStatus& status) {
  Json json = {{"node",
                {{"sysroot", status.node.sysroot.string()},
                 {"model", status.model},
                 {"booted", status.node.booted ? Json(name(*status.node.booted)) : Json(nullptr)},
                 {"boot_id", status.node.boot_id}}},
               {"targets", Json::array()},
               {"transaction", status.transaction ? to_json(*status.transaction) : Json(nullptr)},
               {"waits_for_reboot", status.waits_for_reboot},
               {"last_transaction", status.last ? to_json(*status.last) : Json(nullptr)}};
  for (const TargetStatus& target : status.targets) {
    Json slots = Json::array();
    for (const SlotStatus& slot : target.slots) slots.push_back(to_json(slot));
    json["targets"].push_back({{"target", target.target.name()},
                               {"slots", std::move(slots)},
                               {"tries_left", target.tries_left},
                               {"degraded", !target.problem.empty()},
                               {"problem", target.problem},
                               {"fitted", target.fitted}});
  }
  return json;
}

Json to_json(const Plan& plan) {
  return {
      {"target", plan.request.target.name()},
      {"version", plan.verdict.manifest.version.text()},
      {"commit", plan.verdict.payload.commit().hex()},
      {"found_in", plan.found.where},
      {"signers", plan.verdict.signers},
      {"warnings", plan.verdict.warnings},
      {"from", {{"version", plan.from.version}, {"slot", plan.from.slot ? std::string(name(*plan.from.slot)) : ""}}},
      {"to_slot", name(plan.to)},
      {"replaces_version", plan.replaced_version},
      {"download_bytes", plan.download.known ? Json(plan.download.bytes) : Json(nullptr)},
      {"download_objects", plan.download.known ? Json(plan.download.objects) : Json(nullptr)},
      {"reboot", plan.reboot},
      {"changelog", plan.verdict.manifest.changelog},
      {"manifest", to_json(plan.verdict.manifest)}};
}

}  // namespace hc
