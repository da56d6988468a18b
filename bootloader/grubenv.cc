#include "bootloader/grubenv.h"

#include <algorithm>
#include <cassert>

#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::string_view kSignature = "# GRUB Environment Block\n";
constexpr std::string_view kOurs = "hc_";

std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '\\' || c == '\n') text += '\\';
    text += c;
  }
  return text;
}

std::string unescaped(std::string_view text) {
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    value += text[i];
  }
  return value;
}

// The size of the line that `text` begins with, without its newline; npos where it has no end.
std::size_t line_size(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '\n') {
      return i;
    }
  }
  return std::string_view::npos;
}

// A variable of ours; anything else that begins alike stays somebody else's line.
bool is_ours(std::string_view name) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyz0123456789_";
  return name.substr(0, kOurs.size()) == kOurs && name.find_first_not_of(kPlain) == std::string_view::npos;
}

bool all_padding(std::string_view text) { return text.find_first_not_of('#') == std::string_view::npos; }

// Why `line` cannot be kept; empty where it can.
std::string_view fault_of(std::string_view line) {
  if (line.empty()) return "a line is empty";
  if (line.find('\0') != std::string_view::npos) return "a line holds zero bytes";
  if (all_padding(line)) return "there is a newline after the padding";
  if (line.front() == '#') return {};
  if (line.find('=') == std::string_view::npos) return "a line is no `name=value`";
  return line.front() == '=' ? "a line has no name" : std::string_view{};
}

}  // namespace

GrubEnv GrubEnv::parse(std::string_view bytes) {
  GrubEnv env;
  if (bytes.size() != kSize)
    env.faults_.push_back("it has " + std::to_string(bytes.size()) + " bytes and not " + std::to_string(kSize));
  const bool has_signature = bytes.substr(0, kSignature.size()) == kSignature;
  if (!has_signature) env.faults_.emplace_back("it does not begin with GRUB's signature");
  std::string_view rest = bytes.substr(has_signature ? kSignature.size() : 0);
  while (!all_padding(rest)) {
    const std::size_t size = line_size(rest);
    if (size == std::string_view::npos) {
      // Half a value is no value.
      env.faults_.emplace_back("its last line is cut off");
      break;
    }
    const std::string_view line = rest.substr(0, size);
    rest.remove_prefix(size + 1);
    const std::string_view fault = fault_of(line);
    const std::size_t equals = line.find('=');
    if (!fault.empty()) {
      if (std::find(env.faults_.begin(), env.faults_.end(), fault) == env.faults_.end())
        env.faults_.emplace_back(fault);
    } else if (is_ours(line.substr(0, equals))) {
      env.set(line.substr(0, equals), unescaped(line.substr(equals + 1)));
    } else {
      env.foreign_.emplace_back(line);
    }
  }
  return env;
}

std::optional<std::string> GrubEnv::get(std::string_view name) const {
  const auto found = std::find_if(ours_.begin(), ours_.end(), [&](const auto& v) { return v.first == name; });
  if (found != ours_.end()) return found->second;
  for (auto line = foreign_.rbegin(); line != foreign_.rend(); ++line) {
    const std::string_view text = *line;
    const std::size_t equals = text.find('=');
    if (text.front() != '#' && text.substr(0, equals) == name) return unescaped(text.substr(equals + 1));
  }
  return std::nullopt;
}

void GrubEnv::set(std::string_view name, std::string_view value) {
  assert(is_ours(name));
  const auto place =
      std::lower_bound(ours_.begin(), ours_.end(), name, [](const auto& v, std::string_view n) { return v.first < n; });
  if (place != ours_.end() && place->first == name) {
    place->second = value;
  } else {
    ours_.emplace(place, name, value);
  }
}

Result<std::string> GrubEnv::serialise() const {
  std::string block(kSignature);
  for (const auto& [name, value] : ours_) block += name + "=" + escaped(value) + "\n";
  for (const std::string& line : foreign_) block += line + "\n";
  if (block.size() > kSize)
    return Error(Code::no_space, "GRUB's environment block is full: " + std::to_string(block.size()) + " of " +
                                     std::to_string(kSize) + " bytes")
        .with_hint("remove variables of other tools from it with `grub-editenv unset`");
  block.resize(kSize, '#');
  return block;
}

}  // namespace hc
