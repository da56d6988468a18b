#pragma once

#include <optional>
#include <string_view>

// Tables of {value, name} pairs: how enumerations stand in documents.
namespace hc {

template <typename Table, typename E>
constexpr std::string_view name_in(const Table& table, E value) {
  for (const auto& [known, text] : table)
    if (known == value) return text;
  return "unknown";
}

// Nothing for a name that the table does not have: a newer engine may.
template <typename Table>
constexpr auto value_in(const Table& table, std::string_view text) -> std::optional<decltype(table[0].first)> {
  for (const auto& [known, known_text] : table)
    if (known_text == text) return known;
  return std::nullopt;
}

}  // namespace hc
