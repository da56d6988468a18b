#include "engine/delta/similar.h"

#include <algorithm>

namespace hc {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Each run of digits, with the dots between them, as one `#`.
std::string pattern_of(const std::string& path) {
  std::string pattern;
  for (std::size_t i = 0; i < path.size();) {
    if (!is_digit(path[i])) {
      pattern += path[i++];
      continue;
    }
    while (i < path.size() && (is_digit(path[i]) || (path[i] == '.' && i + 1 < path.size() && is_digit(path[i + 1]))))
      ++i;
    pattern += '#';
  }
  return pattern;
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

const SimilarFiles::File* nearest(const std::vector<SimilarFiles::File>& files, std::uint64_t size) {
  const auto distance = [&](const SimilarFiles::File& file) {
    return file.size > size ? file.size - size : size - file.size;
  };
  const auto best = std::min_element(files.begin(), files.end(),
                                     [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
  return best == files.end() ? nullptr : &*best;
}

}  // namespace

void SimilarFiles::add(const std::string& path, File file) {
  by_pattern_[pattern_of(path)].push_back(file);
  by_name_[pattern_of(name_of(path))].push_back(file);
  by_path_.emplace(path, std::move(file));
}

const SimilarFiles::File* SimilarFiles::find(const std::string& path, std::uint64_t size) const {
  if (const auto same = by_path_.find(path); same != by_path_.end()) return &same->second;
  if (const auto found = by_pattern_.find(pattern_of(path)); found != by_pattern_.end())
    return nearest(found->second, size);
  if (const auto found = by_name_.find(pattern_of(name_of(path))); found != by_name_.end())
    return nearest(found->second, size);
  return nullptr;
}

}  // namespace hc
