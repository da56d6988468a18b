#include "engine/upgrade/windows.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <optional>

#include "engine/base/text.h"

namespace hc {
namespace {

constexpr int kMinutesOfDay = 24 * 60;
constexpr unsigned kDays = 7;
constexpr unsigned kEveryDay = (1U << kDays) - 1;

std::optional<unsigned> day(std::string_view text) {
  constexpr std::array<std::string_view, kDays> kNames = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<unsigned>(found - kNames.begin());
}

// "Mon-Fri" or "Sat,Sun".
std::optional<unsigned> days(std::string_view text) {
  unsigned all = 0;
  for (const std::string& part : split(text, ',')) {
    const std::size_t dash = part.find('-');
    const auto first = day(part.substr(0, dash));
    const auto last = dash == std::string::npos ? first : day(part.substr(dash + 1));
    if (!first || !last) return std::nullopt;
    for (unsigned d = *first;; d = (d + 1) % kDays) {
      all |= 1U << d;
      if (d == *last) break;
    }
  }
  return all;
}

std::optional<int> minute(std::string_view text) {
  const auto digit = [&](std::size_t i) { return std::isdigit(static_cast<unsigned char>(text[i])) != 0; };
  if (text.size() != 5 || text[2] != ':' || !digit(0) || !digit(1) || !digit(3) || !digit(4)) return std::nullopt;
  const int hours = (text[0] - '0') * 10 + (text[1] - '0');
  const int minutes = (text[3] - '0') * 10 + (text[4] - '0');
  const int all = hours * 60 + minutes;
  if (minutes > 59 || all > kMinutesOfDay) return std::nullopt;
  return all;
}

}  // namespace

Result<Windows> Windows::parse(std::string_view text) {
  Windows windows;
  for (const std::string& part : split(text, ';')) {
    const std::string_view span = trimmed(part);
    if (span.empty()) continue;
    const std::size_t space = span.rfind(' ');
    const auto on = space == std::string_view::npos ? kEveryDay : days(trimmed(span.substr(0, space)));
    const std::string_view times = space == std::string_view::npos ? span : span.substr(space + 1);
    const std::size_t dash = times.find('-');
    const auto from = minute(times.substr(0, dash));
    const auto to = dash == std::string_view::npos ? std::nullopt : minute(times.substr(dash + 1));
    if (!on || !from || !to || *from == *to)
      return Error(Code::invalid, quote(span) + " is no time of the week, such as `Mon-Fri 02:00-05:00`");
    windows.spans_.push_back({*on, *from, *to});
  }
  return windows;
}

bool Windows::open_at(std::int64_t wall) const {
  const auto time = static_cast<std::time_t>(wall);
  std::tm local{};
  ::localtime_r(&time, &local);
  const int now = local.tm_hour * 60 + local.tm_min;
  const auto today = static_cast<unsigned>(local.tm_wday);
  const unsigned yesterday = (today + kDays - 1) % kDays;
  return std::any_of(spans_.begin(), spans_.end(), [&](const Span& span) {
    const bool begins_today = (span.days >> today & 1U) != 0;
    const bool began_yesterday = (span.days >> yesterday & 1U) != 0;
    if (span.from < span.to) return begins_today && now >= span.from && now < span.to;
    return (begins_today && now >= span.from) || (began_yesterday && now < span.to);
  });
}

// Minute by minute, since a day may have 23 or 25 hours.
std::int64_t Windows::seconds_to_open(std::int64_t wall) const {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kMost = 9LL * 86'400;
  if (spans_.empty() || open_at(wall)) return 0;
  for (std::int64_t at = wall - wall % kMinute + kMinute; at < wall + kMost; at += kMinute)
    if (open_at(at)) return at - wall;
  return kMost;
}

}  // namespace hc
