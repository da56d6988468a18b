#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

// The small words that all layers share, each valid by construction.
namespace hc {

enum class Slot : unsigned char { a, b };

constexpr Slot other(Slot slot) { return slot == Slot::a ? Slot::b : Slot::a; }
std::string_view name(Slot slot);
Result<Slot> parse_slot(std::string_view text);

// The id of an OSTree commit: 64 lower-case hexadecimal digits.
class Commit {
 public:
  static Result<Commit> parse(std::string_view text);
  static bool looks_like(std::string_view text);

  const std::string& hex() const { return hex_; }
  std::string brief() const { return hex_.substr(0, 12); }
  auto operator<=>(const Commit&) const = default;  // NOLINT(modernize-use-nullptr): a false alarm of clang-tidy 14

 private:
  explicit Commit(std::string hex) : hex_(std::move(hex)) {}
  std::string hex_;
};

// What a payload upgrades: `os` or a peripheral. Lower-case letters, digits, `-`, `_`, `.`; starts with a letter or
// digit; at most 64 bytes. So a name is always safe as one part of a path and of an OSTree ref.
class Target {
 public:
  static Result<Target> parse(std::string_view text);
  static Target os() { return Target("os"); }

  bool is_os() const { return name_ == "os"; }
  const std::string& name() const { return name_; }
  auto operator<=>(const Target&) const = default;  // NOLINT(modernize-use-nullptr): a false alarm of clang-tidy 14

 private:
  explicit Target(std::string name) : name_(std::move(name)) {}
  std::string name_;
};

// A version as people write it: letters, digits, `.`, `-`, `_`; starts with a letter or digit; at most 128 bytes. Safe
// as a part of a path and of an OSTree ref.
class Version {
 public:
  Version() : text_("0") {}  // the least version
  static Result<Version> parse(std::string_view text);

  const std::string& text() const { return text_; }
  // Semantic-version order for numbers between dots; a `-suffix` is older than none (1.2.0-rc1 < 1.2.0). Runs of digits
  // compare as numbers of any length.
  std::strong_ordering operator<=>(const Version& other) const;
  bool operator==(const Version& other) const { return (*this <=> other) == std::strong_ordering::equal; }

 private:
  explicit Version(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// True where `text` matches `pattern`, in which `*` stands for any run of characters and nothing else is special.
bool glob_match(std::string_view pattern, std::string_view text);

// A commit whose signatures and policy were checked on this run. Only TrustPolicy (engine/payload) can make one, and
// Repository (engine/store) cut a part out of one; only a VerifiedPayload can be fetched or staged: there is no road
// around the check.
class VerifiedPayload {
 public:
  const Commit& commit() const { return commit_; }

 private:
  friend class TrustPolicy;
  friend class Repository;
  explicit VerifiedPayload(Commit commit) : commit_(std::move(commit)) {}
  Commit commit_;
};

}  // namespace hc
