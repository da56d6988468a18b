#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/base/stop.h"

namespace hc {

struct HttpLimits {
  std::int64_t connect_ms = 30'000;  // DNS, TCP and TLS together
  std::int64_t stall_ms = 60'000;    // no byte at all for this long: give up; a slow but moving link is never cut
  unsigned redirects = 5;            // https never goes down to http
  unsigned attempts = 3;             // with growing pauses, for failures that may pass
};

// Fetches `url` (http, https or file) whole. Code::unavailable for what may pass (no route, time-out, 5xx),
// Code::invalid for what will not (404 as "not found", more than `limit` bytes). An HTML answer where data was wanted
// is named as such: "HTML from <host>: a login page (captive portal) or a wrong address". No credentials of the URL
// ever reach a text.
Result<std::string> http_get(const std::string& url, std::uint64_t limit, const HttpLimits& limits,
                             const StopToken& stop);

// The URL without user name and password.
std::string without_credentials(const std::string& url);

}  // namespace hc
