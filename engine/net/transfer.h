#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/stop.h"
#include "engine/net/http.h"
#include "engine/net/url.h"

// Inside of engine/net: one request, its redirects, its answer; and the rule for asking again.
namespace hc {

struct Answer {
  long status = 0;
  std::map<std::string, std::string> headers;  // names in lower case; of a repeated header the last
  std::string host;                            // who answered, after redirects

  // Empty where there is no such header.
  std::string header(const std::string& name) const;
  // Nothing where it is not said.
  std::optional<std::uint64_t> length() const;
};

struct Exchange {
  std::vector<std::string> headers;
  bool unpack = false;  // let the server compress; body() gets the plain bytes
  // What to do with an answer of status 2xx that is no HTML: begin() once, then body() for each piece. An error ends
  // the transfer and is its outcome.
  std::function<Status(const Answer&)> begin;
  std::function<Status(std::string_view)> body;
};

// How one attempt ended.
struct Outcome {
  Status status = ok;
  bool may_pass = false;         // asking again in a while may help
  std::int64_t retry_after = 0;  // ms that the server asked for
  long http_status = 0;          // 0: no answer
};

Outcome transfer(const Url& url, const Exchange& exchange, const HttpLimits& limits, const StopToken& stop);

// What a web page in the place of data is called.
Error html_from(const std::string& host);
// True where `start`, the first bytes of a document, are those of a web page.
bool looks_like_html(std::string_view start);

// Milliseconds to wait before attempt `next` (the second is 2): growing, spread by `random` (0 to 1) so that a fleet
// does not return in step, at least what the server asked for, at most one minute.
std::int64_t pause_before(unsigned next, const HttpLimits& limits, std::int64_t retry_after, double random);

// Repeats `attempt` while its outcome may pass, with pauses. `moved` tells whether the last attempt got further than
// any before it; attempts are then counted anew.
Status with_attempts(const HttpLimits& limits, const StopToken& stop, const std::function<Outcome()>& attempt,
                     const std::function<bool()>& moved = {});

}  // namespace hc
