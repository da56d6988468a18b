// LIBS hc_bootloader
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "bootloader/uboot.h"

// The first byte chooses: a copy of an environment, or a fw_env.config. A copy that is read survives a round trip.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty() || input.front() == 'c') {
    (void)hc::parse_fw_env_config(input.substr(input.empty() ? 0 : 1));
    return 0;
  }
  const auto env = hc::UbootEnv::parse(input.substr(1));
  if (!env) return 0;
  const auto bytes = env->serialise(size + 1024);
  if (!bytes) std::abort();
  const auto again = hc::UbootEnv::parse(*bytes);
  if (!again || again->serialise(size + 1024).value() != *bytes) std::abort();
  return 0;
}
