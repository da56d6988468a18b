#pragma once

#include <optional>
#include <string>
#include <string_view>

// What hc-insight and the runner say to each other. Only the standard library, so that hc-insight starts at once.
namespace hc {

// One datagram to the Unix socket named by HC_INSIGHT: four fields with a NUL byte between them,
//   KIND NUL NAME NUL NUMBER NUL TEXT
// KIND is progress, metric, state or log. NAME is the metric's or state's name, or the log's level. NUMBER is a decimal
// number in C notation (progress: percent). Fields that a kind does not use are empty. At most kLongestMessage bytes.
struct InsightMessage {
  std::string_view kind;
  std::string_view name;
  double number = 0;
  std::string_view text;
};

inline constexpr std::size_t kLongestMessage = 2048;
inline constexpr std::size_t kLongestInsightText = 1024;

std::string encode(const InsightMessage& message);

// Nothing for bytes that are no valid message: unknown kind, invalid name, number out of range. The views point into
// `bytes`.
std::optional<InsightMessage> decode(std::string_view bytes);

// Letters, digits, `_`, `-`, `.`; begins with a letter; at most 64 bytes.
bool is_insight_name(std::string_view text);
bool is_insight_level(std::string_view text);  // debug, info, warn, error
std::optional<double> insight_number(std::string_view text);

}  // namespace hc
