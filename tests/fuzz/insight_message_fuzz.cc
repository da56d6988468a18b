// LIBS hc_hooks
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "hooks/insight/message.h"

// Any process that knows the socket's name may write to it. What is taken is bounded, and is what would be sent again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = hc::decode({reinterpret_cast<const char*>(data), size});
  if (!message) return 0;
  if (!std::isfinite(message->number) || message->text.size() > hc::kLongestInsightText) std::abort();
  const std::string bytes = hc::encode(*message);
  const auto again = hc::decode(bytes);
  const bool numbered = message->kind == "progress" || message->kind == "metric";
  if (!again || again->kind != message->kind || again->name != message->name || again->text != message->text ||
      (numbered && again->number != message->number)) {
    std::abort();
  }
  return 0;
}
