#pragma once

#include <optional>
#include <string>

#include "bootloader/boot_control.h"
#include "engine/base/ids.h"
#include "engine/store/peripheral_store.h"

namespace hc {

// What makes one slot of a target the one in use: the bootloader for an OS, the `active` link for a peripheral. Each
// call is one small durable write and can be repeated.
class Switch {
 public:
  virtual ~Switch() = default;

  // The slot that is used when nothing is on trial; nothing: the target has no version yet.
  virtual Result<std::optional<Slot>> confirmed() = 0;
  // The slot on trial, also when its tries are used up.
  virtual Result<std::optional<Slot>> trial() = 0;

  virtual Status arm(Slot to) = 0;
  virtual Status confirm(Slot to) = 0;
  // `from` is in use again and nothing is on trial, whatever was before.
  virtual Status back(std::optional<Slot> from) = 0;
};

class OsSwitch final : public Switch {
 public:
  OsSwitch(BootControl& boot, unsigned tries) : boot_(boot), tries_(tries) {}

  Result<std::optional<Slot>> confirmed() override;
  Result<std::optional<Slot>> trial() override;
  Status arm(Slot to) override;
  Status confirm(Slot to) override;
  Status back(std::optional<Slot> from) override;

 private:
  BootControl& boot_;
  unsigned tries_;
};

class PeripheralSwitch final : public Switch {
 public:
  explicit PeripheralSwitch(PeripheralStore& store) : store_(store) {}

  Result<std::optional<Slot>> confirmed() override { return store_.active(); }
  Result<std::optional<Slot>> trial() override { return std::optional<Slot>(); }
  Status arm(Slot to) override { return store_.set_active(to); }
  Status confirm(Slot to) override { return store_.set_active(to); }
  Status back(std::optional<Slot> from) override { return store_.set_active(from); }

 private:
  PeripheralStore& store_;
};

}  // namespace hc
