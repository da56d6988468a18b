#include <algorithm>

#include "engine/base/text.h"
#include "engine/payload/keys.h"
#include "engine/payload/trust.h"

namespace hc {
namespace {

constexpr std::uint64_t kKeyFileLimit = 64 << 10;
constexpr std::uint64_t kBlockFileLimit = 4 << 20;
constexpr std::string_view kKeySuffix = ".pub";

using Files = std::map<std::string, fs::path>;  // file name -> the one that counts

// The files of `subdirectory` with `suffix` below each directory, where a later one hides an earlier one.
Result<Files> files_in(const std::vector<fs::path>& directories, const char* subdirectory, std::string_view suffix) {
  Files files;
  for (const fs::path& directory : directories) {
    const fs::path path = directory / subdirectory;
    for (const std::string& name : HC_TRY(list_dir(path).in("listing " + path.string())))
      if (!name.starts_with('.') && name.ends_with(suffix)) files[name] = path / name;
  }
  return files;
}

// Nothing: the file only hides one of the same name.
Result<std::optional<std::string>> content_of(const fs::path& file, std::uint64_t limit) {
  std::error_code error;
  if (fs::read_symlink(file, error) == "/dev/null") return std::optional<std::string>();
  std::string text = HC_TRY(read_file(file, limit));
  if (text.empty()) return std::optional<std::string>();
  return std::optional(std::move(text));
}

// Calls take(name, path, text) for each file that counts; what take() or reading refuses becomes a warning.
template <typename Take>
void each_file(const Files& files, std::uint64_t limit, std::vector<std::string>& warnings, Take take) {
  for (const auto& [name, path] : files) {
    const auto text = content_of(path, limit);
    Status taken = ok;
    if (!text) {
      taken = text.error();
    } else if (*text) {
      taken = take(name, path, **text).in(path.string());
    }
    if (!taken) warnings.push_back("passed over: " + printable(taken.error().text()));
  }
}

std::string stem(const std::string& name) { return name.substr(0, name.size() - kKeySuffix.size()); }

Status read_blocked(std::string_view text, std::set<Commit>& blocked) {
  std::size_t number = 0;
  Status status = ok;
  for (const std::string& line : split(text, '\n')) {
    ++number;
    const std::string_view word = trimmed(std::string_view{line}.substr(0, line.find('#')));
    if (word.empty()) continue;
    auto commit = Commit::parse(word);
    if (commit) {
      blocked.insert(*commit);
    } else {
      // The good lines count all the same: a typing error must not unblock what stands beside it.
      status = std::move(commit).error().in("line " + std::to_string(number));
    }
  }
  return status;
}

}  // namespace

Result<Keyring> Keyring::load(const std::vector<fs::path>& directories) {
  Keyring keyring;
  const Files trusted = HC_TRY(files_in(directories, "trust.d", kKeySuffix));
  const Files revoked = HC_TRY(files_in(directories, "revoked.d", kKeySuffix));
  const Files blocked = HC_TRY(files_in(directories, "blocked.d", ""));

  each_file(trusted, kKeyFileLimit, keyring.warnings,
            [&](const std::string& name, const fs::path& path, const std::string& text) -> Status {
              PublicKey key = HC_TRY(PublicKey::parse(text));
              keyring.keys.push_back({stem(name), std::move(key.raw), std::move(key.targets), path});
              return ok;
            });
  each_file(revoked, kKeyFileLimit, keyring.warnings,
            [&](const std::string& /*name*/, const fs::path& /*path*/, const std::string& text) -> Status {
              keyring.revoked.insert(HC_TRY(PublicKey::parse(text)).raw);
              return ok;
            });
  each_file(blocked, kBlockFileLimit, keyring.warnings,
            [&](const std::string& /*name*/, const fs::path& /*path*/, const std::string& text) {
              return read_blocked(text, keyring.blocked);
            });
  return keyring;
}

}  // namespace hc
