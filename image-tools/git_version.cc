#include "image-tools/git_version.h"

#include <cstdlib>

#include "engine/base/process.h"
#include "engine/base/text.h"

namespace hc {
namespace {

Result<std::string> git(const fs::path& directory, std::vector<std::string> words, bool may_fail = false) {
  words.insert(words.begin(), {"git", "-C", directory.string()});
  CommandOptions options;
  // What a CI sets in the environment to trust a checkout of another user.
  for (const char* name : {"HOME", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"})
    if (const char* value = std::getenv(name); value != nullptr) options.environment[name] = value;
  const CommandResult done = HC_TRY(run_command(words, options).in("asking git about " + directory.string()));
  if (done.status == 0) return std::string(trimmed(done.output));
  if (may_fail) return std::string();
  return Error(Code::invalid,
               "git cannot tell the version of " + directory.string() + ": " + printable(trimmed(done.errors)));
}

Result<std::uint64_t> number(const std::string& text) {
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos)
    return Error(Code::invalid, quote(text) + " is no number");
  return std::strtoull(text.c_str(), nullptr, 10);
}

Status check_checkout(const fs::path& directory) {
  const std::string shallow = HC_TRY(git(directory, {"rev-parse", "--is-shallow-repository"}));
  if (shallow == "true")
    return Error(Code::invalid, directory.string() + " is a shallow clone: the number of its commits says nothing")
        .with_hint("fetch the whole history: `git fetch --unshallow --tags`, or `fetch-depth: 0` in a workflow");
  const std::string changes = HC_TRY(git(directory, {"status", "--porcelain", "--untracked-files=normal", "--", "."}));
  if (changes.empty()) return ok;
  return Error(Code::invalid, directory.string() + " has changes that are not committed, for one: " +
                                  printable(changes.substr(0, changes.find('\n'))))
      .with_hint("a version names one content: commit them, or give --version and --sequence yourself");
}

// "v1.2.3-5-gabcdef0" as git describe writes it.
Result<Version> version_of(const std::string& description) {
  const std::vector<std::string> parts = split(description, '-');
  const std::vector<std::string> numbers = split(parts.front().substr(1), '.');
  if (numbers.size() != 3 || parts.size() < 3)
    return Error(Code::invalid, "the tag " + quote(parts.front()) + " is no semantic version: v1.2.3 is wanted");
  for (const std::string& text : numbers) HC_TRY(number(text).in("the tag " + quote(parts.front())));
  const std::string& commits = parts[parts.size() - 2];
  const std::size_t tag_end = description.rfind('-', description.rfind('-') - 1);
  const std::string tag = description.substr(1, tag_end - 1);
  if (commits == "0") return Version::parse(tag);
  const std::string suffix = "dev." + commits + "." + parts.back();
  // Behind a release candidate, v1.2.3-rc.1, but before the next one.
  if (parts.size() > 3) return Version::parse(tag + "." + suffix);
  const std::uint64_t patch = HC_TRY(number(numbers[2]));
  return Version::parse(numbers[0] + "." + numbers[1] + "." + std::to_string(patch + 1) + "-" + suffix);
}

}  // namespace

Result<GitVersion> git_version(const fs::path& directory) {
  HC_TRY(check_checkout(directory));
  const std::string description =
      HC_TRY(git(directory, {"describe", "--tags", "--long", "--abbrev=12", "--match", "v[0-9]*"})
                 .in("there is no tag like v1.2.3 before this commit"));
  GitVersion result;
  result.version = HC_TRY(version_of(description));
  const std::string count = HC_TRY(git(directory, {"rev-list", "--count", "HEAD"}));
  result.sequence = HC_TRY(number(count));
  const std::string time = HC_TRY(git(directory, {"log", "-1", "--format=%ct"}));
  result.committed_at = static_cast<std::int64_t>(HC_TRY(number(time)));
  result.commit = HC_TRY(git(directory, {"rev-parse", "HEAD"}));
  result.url = HC_TRY(git(directory, {"remote", "get-url", "origin"}, true));
  const std::size_t scheme = result.url.find("://");
  const std::size_t at = result.url.find('@');
  if (scheme != std::string::npos && at != std::string::npos) result.url.erase(scheme + 3, at - scheme - 2);
  if (result.url.empty()) result.url = "file:" + directory.filename().string();
  return result;
}

}  // namespace hc
