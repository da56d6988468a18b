#include "hooks/insight/message.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace hc {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_name_byte(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'; }

bool valid(const InsightMessage& message) {
  if (message.text.size() > kLongestInsightText) return false;
  if (message.kind == "progress") return message.number >= 0 && message.number <= 100;
  if (message.kind == "metric" || message.kind == "state") return is_insight_name(message.name);
  return message.kind == "log" && is_insight_level(message.name);
}

}  // namespace

bool is_insight_name(std::string_view text) {
  constexpr std::size_t kLongest = 64;
  return !text.empty() && text.size() <= kLongest && is_letter(text.front()) &&
         std::all_of(text.begin(), text.end(), is_name_byte);
}

bool is_insight_level(std::string_view text) {
  return text == "debug" || text == "info" || text == "warn" || text == "error";
}

std::optional<double> insight_number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::string encode(const InsightMessage& message) {
  std::array<char, 64> number{};
  char* end = number.data();
  if (message.kind == "progress" || message.kind == "metric") {
    end = std::to_chars(number.data(), number.data() + number.size(), message.number).ptr;
  }
  std::string bytes(message.kind);
  bytes.append(1, '\0').append(message.name);
  bytes.append(1, '\0').append(number.data(), end);
  bytes.append(1, '\0').append(message.text);
  return bytes;
}

std::optional<InsightMessage> decode(std::string_view bytes) {
  if (bytes.size() > kLongestMessage) return std::nullopt;
  std::array<std::string_view, 4> fields;
  for (std::size_t i = 0; i + 1 < fields.size(); ++i) {
    const std::size_t end = bytes.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    fields.at(i) = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
  }
  InsightMessage message{fields[0], fields[1], 0, bytes};
  if (!fields[2].empty()) {
    const auto number = insight_number(fields[2]);
    if (!number) return std::nullopt;
    message.number = *number;
  }
  const bool needs_number = message.kind == "progress" || message.kind == "metric";
  if (needs_number == fields[2].empty() || !valid(message)) return std::nullopt;
  return message;
}

}  // namespace hc
