#include "engine/net/url.h"

#include <curl/curl.h>

#include "engine/base/handle.h"
#include "engine/base/text.h"
#include "engine/net/http.h"

namespace hc {
namespace {

using CurlUrl = Handle<CURLU, curl_url_cleanup>;
using CurlText = Handle<char, curl_free>;

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) return {};
  const CurlText owner(text);
  return text;
}

// Everything from the last `@` before the path is the server; quoting a text that is no URL must not show a password.
std::string without_userinfo(const std::string& text) {
  const std::size_t scheme = text.find("://");
  const std::size_t start = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t end = text.find_first_of("/?#", start);
  const std::size_t at = text.substr(0, end).rfind('@');
  if (at == std::string::npos || at < start) return text;
  return text.substr(0, start) + text.substr(at + 1);
}

Result<Url> from_handle(CURLU* handle, const std::string& original) {
  Url url;
  url.scheme = part(handle, CURLUPART_SCHEME);
  if (url.scheme != "http" && url.scheme != "https" && url.scheme != "file")
    return Error(Code::invalid, quote(without_userinfo(original)) + " is no address to fetch from")
        .with_hint("http://, https:// and file:// are possible");
  url.user = part(handle, CURLUPART_USER, CURLU_URLDECODE);
  url.password = part(handle, CURLUPART_PASSWORD, CURLU_URLDECODE);
  url.host = part(handle, CURLUPART_HOST);
  const std::string port = part(handle, CURLUPART_PORT);
  if (!port.empty()) url.host += ":" + port;
  for (const CURLUPart gone : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_FRAGMENT})
    curl_url_set(handle, gone, nullptr, 0);
  url.text = part(handle, CURLUPART_URL);
  return url;
}

}  // namespace

Result<Url> Url::parse(const std::string& text) {
  const CurlUrl handle(curl_url());
  constexpr unsigned kFlags = CURLU_NON_SUPPORT_SCHEME;
  if (text.find('\0') != std::string::npos ||
      curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), kFlags) != CURLUE_OK)
    return Error(Code::invalid, quote(without_userinfo(text)) + " is no URL");
  return from_handle(handle.get(), text);
}

Result<Url> Url::follow(const std::string& location) const {
  const CurlUrl handle(curl_url());
  constexpr unsigned kFlags = CURLU_NON_SUPPORT_SCHEME;
  if (curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), kFlags) != CURLUE_OK ||
      curl_url_set(handle.get(), CURLUPART_URL, location.c_str(), kFlags | CURLU_URLENCODE) != CURLUE_OK)
    return Error(Code::invalid, host + " redirects to " + quote(without_userinfo(location)) + ", which is no URL");
  Url next = HC_TRY(from_handle(handle.get(), location));
  if (next.scheme != "https" && next.scheme != scheme)
    return Error(Code::invalid, host + " redirects from " + scheme + " to " + next.scheme + " (" + next.shown() +
                                    "), which is not followed");
  const bool same_server = next.scheme == scheme && next.host == host;
  next.user = same_server ? user : "";
  next.password = same_server ? password : "";
  return next;
}

Result<fs::path> Url::path() const {
  const CurlUrl handle(curl_url());
  if (curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
    return Error(Code::invalid, quote(text) + " is no URL");
  return fs::path(part(handle.get(), CURLUPART_PATH, CURLU_URLDECODE));
}

std::string Url::shown() const {
  const std::size_t query = text.find('?');
  return printable(query == std::string::npos ? text : text.substr(0, query) + "?...");
}

std::string without_credentials(const std::string& url) { return without_userinfo(url); }

}  // namespace hc
