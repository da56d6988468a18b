// LIBS hc_bootloader
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "bootloader/custom.h"
#include "bootloader/systemd_boot.h"

// What an integrator's program prints, and the names of files in loader/entries.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto state = hc::parse_custom_state(text);
  if (state && (state->tries_left > 9 || state->trial == state->confirmed)) std::abort();
  const auto name = hc::EntryName::parse(text);
  if (!name) return 0;
  const auto again = hc::EntryName::parse(name->file());
  if (!again || again->generation != name->generation || again->slot != name->slot || again->left != name->left)
    std::abort();
  return 0;
}
