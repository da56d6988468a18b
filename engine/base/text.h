#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Text that came from outside, made safe to show; and a few shapes that all programs print.
namespace hc {

// `text` between backquotes, printable: control characters, invalid UTF-8 and backquotes as \xNN, cut after 200 bytes.
std::string quote(std::string_view text);

// `text` with every invalid UTF-8 byte and every control character but newline and tab replaced by \xNN.
std::string printable(std::string_view text);

// `bytes` as people read it: "512 B", "1.5 MB" (powers of ten).
std::string human_bytes(std::uint64_t bytes);

// `ms` as people read it: "230 ms", "4.2 s", "3 min 5 s".
std::string human_duration(std::int64_t ms);

// Seconds since the epoch as "2026-11-30T09:15:00Z".
std::string iso_time(std::int64_t unix_seconds);

std::vector<std::string> split(std::string_view text, char separator);
std::string_view trimmed(std::string_view text);

}  // namespace hc
