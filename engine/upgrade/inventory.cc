#include "engine/upgrade/inventory.h"

#include "engine/base/json_field.h"

namespace hc {
namespace {

Status read_peripheral(const std::string& name, const Json& entry, std::map<std::string, bool>& named) {
  const Target target = HC_TRY(Target::parse(name));
  if (!entry.is_object()) return Error(Code::invalid, quote(name) + " must be an object, {} at the least");
  bool fitted = true;
  HC_TRY(read_field(entry, "fitted", fitted).in(quote(name)));
  named[target.name()] = fitted;
  return ok;
}

Status read(const Json& json, std::map<std::string, bool>& named) {
  if (!json.is_object()) return Error(Code::invalid, "the inventory is a JSON object");
  const auto peripherals = json.find("peripherals");
  if (peripherals == json.end()) return Error(Code::invalid, "the key `peripherals` is missing");
  if (!peripherals->is_object()) return Error(Code::invalid, "`peripherals` must be an object");
  for (const auto& [name, entry] : peripherals->items()) HC_TRY(read_peripheral(name, entry, named));
  return ok;
}

}  // namespace

Result<Inventory> Inventory::load(const fs::path& file) {
  Inventory inventory;
  const std::optional<std::string> text = HC_TRY(read_file_if_exists(file, 1 << 20));
  if (!text) return inventory;
  const auto json = parse_json(*text);
  const Status good = json ? read(*json, inventory.named_) : Status(json.error());
  if (!good)
    return Error(good.error()).in(file.string()).with_hint("mend that file; docs/operations.md shows its form");
  inventory.known_ = true;
  return inventory;
}

bool Inventory::fitted(const Target& target) const {
  if (!known_ || target.is_os()) return true;
  const auto found = named_.find(target.name());
  return found != named_.end() && found->second;
}

}  // namespace hc
