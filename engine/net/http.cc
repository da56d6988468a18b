#include "engine/net/http.h"

#include "engine/base/text.h"
#include "engine/net/transfer.h"

namespace hc {
namespace {

Error too_big(const std::string& where, std::uint64_t limit) {
  return {Code::invalid, where + " gives more than the " + human_bytes(limit) + " allowed"};
}

Result<std::string> read_local(const Url& url, std::uint64_t limit) {
  const fs::path path = HC_TRY(url.path());
  std::optional<std::string> content = HC_TRY(read_file_if_exists(path, limit));
  if (!content) return Error(Code::invalid, path.string() + " was not found");
  return *std::move(content);
}

Outcome get_once(const Url& url, std::uint64_t limit, const HttpLimits& limits, const StopToken& stop,
                 std::string& content) {
  content.clear();
  Exchange exchange;
  exchange.unpack = true;
  exchange.begin = [&](const Answer& answer) -> Status {
    if (answer.status != 200)
      return Error(Code::unavailable, answer.host + " answered without content (status " +
                                          std::to_string(answer.status) + ") where data was wanted");
    return answer.length().value_or(0) > limit ? Status(too_big(answer.host, limit)) : Status(ok);
  };
  exchange.body = [&](std::string_view piece) -> Status {
    // Counted after unpacking, so that a small answer cannot grow without end.
    if (piece.size() > limit - content.size()) return too_big(url.host, limit);
    content += piece;
    return ok;
  };
  Outcome outcome = transfer(url, exchange, limits, stop);
  // A page whose first bytes came one by one has not been recognised on the way.
  if (outcome.status && looks_like_html(content)) outcome.status = html_from(url.host);
  if (outcome.status && content.empty())
    outcome = {Error(Code::unavailable, url.host + " answered with nothing where data was wanted"), true};
  return outcome;
}

}  // namespace

Result<std::string> http_get(const std::string& url, std::uint64_t limit, const HttpLimits& limits,
                             const StopToken& stop) {
  const Url place = HC_TRY(Url::parse(url));
  if (place.scheme == "file") return read_local(place, limit);
  std::string content;
  HC_TRY(with_attempts(limits, stop, [&] { return get_once(place, limit, limits, stop, content); }));
  return content;
}

}  // namespace hc
