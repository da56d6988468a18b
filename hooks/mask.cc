#include "hooks/mask.h"

#include <algorithm>

#include "engine/base/text.h"

namespace hc {

SecretMask::SecretMask(const std::vector<std::string>& secrets) {
  constexpr std::size_t kLeastOfMany = 4;
  for (const std::string& secret : secrets) {
    const std::vector<std::string> lines = split(trimmed(secret), '\n');
    for (const std::string& line : lines) {
      const std::string_view text = trimmed(line);
      if (text.size() >= (lines.size() == 1 ? 1 : kLeastOfMany)) secrets_.emplace_back(text);
    }
  }
  std::sort(secrets_.begin(), secrets_.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
}

void SecretMask::feed(std::string_view bytes, const Sink& sink) {
  if (secrets_.empty()) return sink(bytes);
  held_ += bytes;
  held_ = std::string(consume(held_, false, sink));
}

void SecretMask::flush(const Sink& sink) {
  consume(held_, true, sink);
  held_.clear();
}

std::string SecretMask::masked(std::string_view text) const {
  std::string result;
  consume(text, true, [&result](std::string_view part) { result += part; });
  return result;
}

// The first place where a secret stands, and the longest one that stands there.
SecretMask::Match SecretMask::next(std::string_view text) const {
  Match first;
  for (const std::string& secret : secrets_) {
    const std::size_t at = text.find(secret);
    if (at < first.at) first = {at, secret.size()};
  }
  return first;
}

// Where the text may be in the middle of a secret that goes on in the next piece; its size where it is not.
std::size_t SecretMask::open_end(std::string_view text) const {
  const std::size_t longest = secrets_.empty() ? 0 : secrets_.front().size();
  for (std::size_t at = text.size() - std::min(text.size(), longest); at < text.size(); ++at) {
    const std::string_view end = text.substr(at);
    for (const std::string& secret : secrets_) {
      if (secret.size() > end.size() && std::string_view{secret}.starts_with(end)) return at;
    }
  }
  return text.size();
}

// Returns the end of `text` that cannot be decided yet; nothing where it is `final`.
std::string_view SecretMask::consume(std::string_view text, bool final, const Sink& sink) const {
  while (true) {
    const Match match = next(text);
    const std::size_t plain = std::min(match.at, text.size());
    const std::size_t open = final ? text.size() : open_end(text);
    const std::size_t sure = std::min(plain, open);
    if (sure > 0) sink(text.substr(0, sure));
    // Also where a secret was found, but a longer one may begin at the same place or before.
    if (match.size == 0 || open <= plain) return text.substr(sure);
    sink("***");
    text.remove_prefix(match.at + match.size);
  }
}

}  // namespace hc
