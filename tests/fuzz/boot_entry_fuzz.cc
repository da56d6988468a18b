// LIBS hc_bootloader
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "bootloader/entry_file.h"

// An entry that is read is one that we could have written, byte for byte.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const hc::EntryStyle style : {hc::EntryStyle::grub, hc::EntryStyle::plain, hc::EntryStyle::bls}) {
    const auto entry = hc::parse_entry(text, style);
    if (!entry) continue;
    const auto again = hc::format_entry(*entry, style);
    if (!again || hc::parse_entry(*again, style).value() != *entry) std::abort();
    if (style != hc::EntryStyle::bls && *again != text) std::abort();
  }
  return 0;
}
