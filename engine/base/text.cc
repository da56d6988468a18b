#include "engine/base/text.h"

#include <glib.h>

#include <array>
#include <cstdio>
#include <ctime>

namespace hc {
namespace {

std::string escaped_byte(unsigned char byte) {
  std::array<char, 8> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "\\x%02x", byte);
  return buffer.data();
}

bool is_control(gunichar c) { return c < 0x20 || (c >= 0x7f && c < 0xa0); }

template <typename Keep>
std::string escaped(std::string_view text, Keep keep) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const gunichar c = g_utf8_get_char_validated(text.data(), static_cast<gssize>(text.size()));
    const bool valid = c != static_cast<gunichar>(-1) && c != static_cast<gunichar>(-2) && c != 0;
    const std::size_t size = valid ? static_cast<std::size_t>(g_unichar_to_utf8(c, nullptr)) : 1;
    if (valid && keep(c)) {
      safe.append(text.substr(0, size));
    } else {
      for (const char byte : text.substr(0, size)) safe += escaped_byte(static_cast<unsigned char>(byte));
    }
    text.remove_prefix(size);
  }
  return safe;
}

}  // namespace

std::string quote(std::string_view text) {
  constexpr std::size_t kMost = 200;
  const bool cut = text.size() > kMost;
  std::string safe = escaped(text.substr(0, kMost), [](gunichar c) { return !is_control(c) && c != '`'; });
  return "`" + safe + (cut ? "...`" : "`");
}

std::string printable(std::string_view text) {
  return escaped(text, [](gunichar c) { return !is_control(c) || c == '\n' || c == '\t'; });
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits.at(unit));
  return buffer.data();
}

std::string human_duration(std::int64_t ms) {
  std::array<char, 48> buffer{};
  if (ms < 1000) {
    std::snprintf(buffer.data(), buffer.size(), "%lld ms", static_cast<long long>(ms));
  } else if (ms < 60'000) {
    std::snprintf(buffer.data(), buffer.size(), "%.1f s", static_cast<double>(ms) / 1000);
  } else {
    std::snprintf(buffer.data(), buffer.size(), "%lld min %lld s", static_cast<long long>(ms / 60'000),
                  static_cast<long long>(ms / 1000 % 60));
  }
  return buffer.data();
}

std::string iso_time(std::int64_t unix_seconds) {
  const auto time = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  std::array<char, 40> buffer{};
  std::strftime(buffer.data(), buffer.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return buffer.data();
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (true) {
    const std::size_t end = text.find(separator, start);
    parts.emplace_back(text.substr(start, end - start));
    if (end == std::string_view::npos) return parts;
    start = end + 1;
  }
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t start = text.find_first_not_of(kSpace);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kSpace) - start + 1);
}

}  // namespace hc
