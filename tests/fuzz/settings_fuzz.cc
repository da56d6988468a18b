// LIBS hc_upgrade
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/upgrade/settings.h"

// honeycomb.conf of any content: what is accepted is within its limits, what is refused names the file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const hc::UniqueFd fd(::memfd_create("honeycomb.conf", MFD_CLOEXEC));
  if (!fd || ::write(fd.get(), data, size) != static_cast<ssize_t>(size)) return 0;
  const std::string file = "/proc/self/fd/" + std::to_string(fd.get());
  const auto settings = hc::Settings::load(file);
  if (!settings) {
    if (settings.error().text().find(file) == std::string::npos) std::abort();
    return 0;
  }
  if (settings->tries < 1 || settings->tries > 9) std::abort();
  if (settings->keep_versions < 1 || settings->keep_versions > 1000) std::abort();
  if (settings->attempts < 1 || settings->stall_s < 0 || settings->deadline_s < 0) std::abort();
  for (const auto& [target, threshold] : settings->thresholds)
    if (target.empty() || threshold == 0) std::abort();
  return 0;
}
