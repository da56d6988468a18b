#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/net/http.h"

namespace hc {

// Where the bytes of a stream go.
struct HttpSink {
  std::function<std::uint64_t()> offset;         // of the byte that is wanted next
  std::function<Status(std::string_view)> take;  // an error ends the stream and is its outcome
};

// Gives the bytes of `url` (http, https), which has `size` of them, to `sink` as they come, without a copy on the disk.
// After a broken connection it asks for the rest alone, as often as each attempt brings something; a server that knows
// no ranges is listened to from the start. That all bytes are of one file is for the sink to check. Codes as for
// http_get.
Status http_stream(const std::string& url, std::uint64_t size, const HttpSink& sink, const HttpLimits& limits,
                   const StopToken& stop);

}  // namespace hc
