#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/file.h"
#include "engine/base/progress.h"
#include "engine/base/stop.h"

namespace hc {

struct HttpLimits {
  std::int64_t connect_ms = 30'000;  // DNS, TCP and TLS together
  std::int64_t stall_ms = 60'000;    // no byte at all for this long: give up; a slow but moving link is never cut
  unsigned redirects = 5;            // https never goes down to http
  unsigned attempts = 3;             // with growing pauses, for failures that may pass
  std::int64_t pause_ms = 1'000;     // before the second attempt; doubled for each further one
  std::uint64_t bytes_per_s = 0;     // of a body, on average; 0: no limit
};

// Fetches `url` (http, https or file) whole. Code::unavailable for what may pass (no route, time-out, 5xx),
// Code::invalid for what will not (404 as "not found", more than `limit` bytes). An HTML answer where data was wanted
// is named as such: "HTML from <host>: a login page (captive portal) or a wrong address". No credentials of the URL
// ever reach a text. Proxies of the environment are used.
Result<std::string> http_get(const std::string& url, std::uint64_t limit, const HttpLimits& limits,
                             const StopToken& stop);

// Downloads a big file to `path`; what arrived stays in `path`.part over failures, stops and restarts, and the next
// call goes on from there as long as the server vouches that the file is still the same (a strong ETag, or a
// Last-Modified well in the past). Where it does not, the download begins again: parts of two files are never joined.
// Ok: the whole file is durable at `path`, `size` bytes where that is given, and the part is gone. The content is for
// the caller to check. Attempts are counted anew whenever the file has grown. Codes as for http_get, and
// Code::no_space. REQUIRES: the directory of `path` exists; one download to one `path` at a time.
Status http_download(const std::string& url, const fs::path& path, std::optional<std::uint64_t> size,
                     const HttpLimits& limits, const ProgressFn& progress, const StopToken& stop);

// The URL without user name and password.
std::string without_credentials(const std::string& url);

}  // namespace hc
