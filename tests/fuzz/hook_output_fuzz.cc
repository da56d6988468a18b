// LIBS hc_hooks
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "hooks/capture.h"

namespace {

bool is_safe(std::string_view text) {
  return hc::Json(std::string(text)).dump(-1, ' ', false, hc::Json::error_handler_t::ignore) ==
             hc::Json(std::string(text)).dump(-1, ' ', false, hc::Json::error_handler_t::replace) &&
         std::none_of(text.begin(), text.end(), [](char byte) {
           return static_cast<unsigned char>(byte) < 0x20 && byte != '\n' && byte != '\t';
         });
}

}  // namespace

// The first byte: the size of the pieces in which the output comes. The first line: a secret. The rest: the output.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t piece = std::size_t{data[0]} + 1;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string secret(text.substr(0, text.find('\n')));
  text.remove_prefix(std::min(text.size(), secret.size() + 1));
  const hc::SecretMask mask({secret});

  std::string live;
  hc::OutputCapture pieces(mask, [&live](std::string_view line) { live.append(line).append("\n"); });
  for (std::size_t at = 0; at < text.size(); at += piece) pieces.feed(text.substr(at, piece));
  pieces.end();
  hc::OutputCapture whole(mask, nullptr);
  whole.feed(text);
  whole.end();
  if (pieces.kept().text != whole.kept().text || pieces.kept().dropped_bytes != whole.kept().dropped_bytes)
    std::abort();
  if (!is_safe(live) || !is_safe(whole.kept().text)) std::abort();
  const std::string masked = mask.masked(text);
  const bool can_come_back = secret.find('*') != std::string::npos;
  const auto again = hc::SecretMask({secret}).masked(masked);
  if (!can_come_back && again != masked) std::abort();
  return 0;
}
