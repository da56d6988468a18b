#include "engine/base/ids.h"

#include <algorithm>

#include "engine/base/text.h"

namespace hc {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

bool is_word(std::string_view text, std::size_t most, bool upper) {
  const auto plain = [&](char c) { return is_digit(c) || is_lower(c) || (upper && is_upper(c)); };
  if (text.empty() || text.size() > most || !plain(text.front())) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || c == '-' || c == '_' || c == '.'; });
}

// Takes the next run of digits, or of anything else up to a dot, from the front of `text`.
std::string_view next_run(std::string_view& text) {
  const bool digits = !text.empty() && is_digit(text.front());
  std::size_t size = 0;
  while (size < text.size() && text[size] != '.' && is_digit(text[size]) == digits) ++size;
  const std::string_view run = text.substr(0, size);
  text.remove_prefix(size);
  return run;
}

std::strong_ordering compare_numbers(std::string_view a, std::string_view b) {
  a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
  b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
  if (a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

std::strong_ordering compare_dotted(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    if (a.empty() || b.empty()) return a.size() <=> b.size();
    if (a.front() == '.' || b.front() == '.') {
      if (a.front() != b.front()) return a.front() == '.' ? std::strong_ordering::less : std::strong_ordering::greater;
      a.remove_prefix(1);
      b.remove_prefix(1);
      continue;
    }
    const bool numbers = is_digit(a.front()) && is_digit(b.front());
    const std::string_view run_a = next_run(a);
    const std::string_view run_b = next_run(b);
    const auto order = numbers ? compare_numbers(run_a, run_b) : run_a.compare(run_b) <=> 0;
    if (order != std::strong_ordering::equal) return order;
  }
  return std::strong_ordering::equal;
}

}  // namespace

std::string_view name(Slot slot) { return slot == Slot::a ? "a" : "b"; }

Result<Slot> parse_slot(std::string_view text) {
  if (text == "a") return Slot::a;
  if (text == "b") return Slot::b;
  return Error(Code::invalid, "a slot is `a` or `b`, not " + quote(text));
}

bool Commit::looks_like(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

Result<Commit> Commit::parse(std::string_view text) {
  if (!looks_like(text))
    return Error(Code::invalid, quote(text) + " is no commit: 64 lower-case hex digits are wanted");
  return Commit(std::string(text));
}

Result<Target> Target::parse(std::string_view text) {
  if (!is_word(text, 64, false))
    return Error(Code::invalid,
                 quote(text) + " is no target name: lower-case letters, digits, `-`, `_`, `.`, at most 64");
  return Target(std::string(text));
}

Result<Version> Version::parse(std::string_view text) {
  if (!is_word(text, 128, true))
    return Error(Code::invalid, quote(text) + " is no version: letters, digits, `.`, `-`, `_`, at most 128");
  return Version(std::string(text));
}

std::strong_ordering Version::operator<=>(const Version& other) const {
  const auto split = [](std::string_view text) {
    const std::size_t dash = text.find('-');
    const bool has = dash != std::string_view::npos;
    return std::pair{text.substr(0, dash), has ? text.substr(dash + 1) : std::string_view{}};
  };
  const auto [base_a, suffix_a] = split(text_);
  const auto [base_b, suffix_b] = split(other.text_);
  const auto order = compare_dotted(base_a, base_b);
  if (order != std::strong_ordering::equal) return order;
  if (suffix_a.empty() != suffix_b.empty())
    return suffix_a.empty() ? std::strong_ordering::greater : std::strong_ordering::less;
  return compare_dotted(suffix_a, suffix_b);
}

bool glob_match(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace hc
