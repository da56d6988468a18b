// LIBS hc_service
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/base/json.h"
#include "engine/service/api.h"

namespace {

std::string take_until(std::string_view& rest, char end) {
  const std::size_t at = rest.find(end);
  const std::string word(rest.substr(0, at));
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return word;
}

}  // namespace

// A request of any form: "METHOD PATH QUERY-KEY QUERY-VALUE HEADER VALUE\nBODY". Every one is answered, with a status
// that HTTP knows; a refusal is a problem in JSON, and nobody without the right changes anything.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const hc::Api api("/nonexistent", [] { std::abort(); });  // nothing is ever added to the queue
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  hc::Ask ask;
  ask.method = take_until(rest, ' ');
  ask.path = take_until(rest, ' ');
  const std::string key = take_until(rest, ' ');
  ask.query[key] = take_until(rest, ' ');
  const std::string header = take_until(rest, ' ');
  ask.headers[header] = take_until(rest, '\n');
  ask.body = rest;
  ask.caller.local_socket = size % 2 == 0;
  ask.caller.may_change = size % 3 == 0;
  const hc::Answer answer = api.answer(ask);
  if (answer.status < 200 || answer.status > 599) std::abort();
  if (answer.status >= 400 && !hc::parse_json(answer.body)) std::abort();
  const auto json = hc::parse_json(ask.body, 64 << 10);
  if (json) static_cast<void>(hc::job_from(*json));
  return 0;
}
