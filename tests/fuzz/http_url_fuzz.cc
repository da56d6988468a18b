// LIBS hc_net
#include <cstdint>
#include <cstdlib>
#include <string>

#include "engine/net/http.h"
#include "engine/net/url.h"

// The first line is an address, the rest where a server redirects to.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  (void)hc::without_credentials(text);
  const auto url = hc::Url::parse(text.substr(0, line));
  if (!url) return 0;
  (void)url->shown();
  (void)url->path();
  if (line == std::string::npos) return 0;
  const auto next = url->follow(text.substr(line + 1));
  if (!next) return 0;
  // Never downwards, and a password never to another server.
  if (url->scheme == "https" && next->scheme != "https") std::abort();
  if (url->scheme != "file" && next->scheme == "file") std::abort();
  if (!next->password.empty() && next->host != url->host) std::abort();
  return 0;
}
