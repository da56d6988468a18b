#include "engine/store/kernel_arguments.h"

#include <algorithm>

#include "engine/base/text.h"

namespace hc {

Result<KernelArguments> split_arguments(std::string_view line) {
  KernelArguments arguments;
  std::string word;
  bool quoted = false;
  for (const char c : line) {
    if (c != '\t' && (static_cast<unsigned char>(c) < ' ' || c == '\x7f'))
      return Error(Code::invalid, "the kernel arguments " + quote(line) + " hold a control character");
    if (c == '"') quoted = !quoted;
    if (quoted || (c != ' ' && c != '\t')) {
      word += c;
    } else if (!word.empty()) {
      arguments.push_back(std::move(word));
      word.clear();
    }
  }
  if (quoted) return Error(Code::invalid, "the kernel arguments " + quote(line) + " hold a quote without an end");
  if (!word.empty()) arguments.push_back(std::move(word));
  return arguments;
}

std::string join_arguments(const KernelArguments& arguments) {
  std::string line;
  for (const std::string& argument : arguments) line += (line.empty() ? "" : " ") + argument;
  return line;
}

Result<KernelArguments> parse_default_arguments(std::string_view text) {
  KernelArguments defaults;
  for (const std::string& line : split(text, '\n')) {
    const std::string_view wanted = trimmed(line);
    if (wanted.empty() || wanted.front() == '#') continue;
    KernelArguments arguments = HC_TRY(split_arguments(wanted));
    std::move(arguments.begin(), arguments.end(), std::back_inserter(defaults));
  }
  return defaults;
}

KernelArguments own_arguments(const KernelArguments& all, const KernelArguments& defaults) {
  KernelArguments own = all;
  for (const std::string& argument : defaults) {
    const auto found = std::find(own.begin(), own.end(), argument);
    if (found != own.end()) own.erase(found);
  }
  std::erase_if(own, [](const std::string& a) { return a.starts_with("ostree=") || a.starts_with("init=/ostree/"); });
  return own;
}

}  // namespace hc
