// LIBS hc_bootloader
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "bootloader/grubenv.h"

// Any bytes are read without a fault of ours; what was rebuilt is sound, keeps what was readable and stays as it is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hc::GrubEnv env = hc::GrubEnv::parse({reinterpret_cast<const char*>(data), size});
  const auto good = env.get("hc_good");
  env.set("hc_try", "b");
  const auto block = env.serialise();
  if (!block) return 0;
  const hc::GrubEnv again = hc::GrubEnv::parse(*block);
  if (block->size() != hc::GrubEnv::kSize || !again.faults().empty()) std::abort();
  if (again.get("hc_good") != good || again.get("hc_try") != "b") std::abort();
  if (again.serialise().value() != *block) std::abort();
  return 0;
}
