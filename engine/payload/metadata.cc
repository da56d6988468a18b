#include "engine/payload/metadata.h"

#include <algorithm>
#include <array>

#include "engine/base/json.h"
#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::size_t kFileLimit = 256 << 10;
constexpr std::int64_t kMostRetries = 1000;
constexpr std::int64_t kMostSeconds = 86'400;
constexpr std::size_t kMostEntries = 256;
constexpr std::size_t kMostLine = 256;
constexpr std::size_t kMostDescription = 16 << 10;

constexpr std::array<std::string_view, 19> kKnown = {
    "peripheral_name",
    "config_version",
    "upgrade_name",
    "description",
    "retry_state_check",
    "retry_install",
    "retry_verify",
    "timeout_install_s",
    "timeout_verify_s",
    "timeout_state_check_s",
    "compatible",
    "requires",
    "reboot",
    "devices",
    "network",
    "user",
    "snapshot",
    "force_install",
    "config_file",
};

using Strings = std::vector<std::string>;

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool consists_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_alnum(c) || others.find(c) != std::string_view::npos; });
}

// Printable, and one line.
bool is_line(std::string_view text) {
  return text.find_first_of("\n\t") == std::string_view::npos && text == printable(text);
}

// An absolute path that means what it says: no empty, `.` or `..` part, no control character.
bool is_plain_path(const std::string& path) {
  if (!path.starts_with('/') || path.size() > 4096 || !is_line(path)) return false;
  const Strings parts = split(path.substr(1), '/');
  return std::none_of(parts.begin(), parts.end(),
                      [](const std::string& part) { return part.empty() || part == "." || part == ".."; });
}

bool is_inside(const std::string& path, const std::string& directory) {
  return is_plain_path(path) && path.starts_with(directory + "/");
}

bool is_model(const std::string& text) { return !text.empty() && text.size() <= kMostLine && is_line(text); }
bool is_device(const std::string& path) { return is_inside(path, "/dev"); }
bool is_host(const std::string& text) {
  return !text.empty() && text.size() <= 253 && consists_of(text, ".-:") && text.front() != '-' && text.back() != '-';
}
bool is_user(const std::string& text) {
  return !text.empty() && text.size() <= 32 && !(text.front() >= '0' && text.front() <= '9') && text.front() != '-' &&
         consists_of(text, "_-");
}
// The engine's own state must never go back in time with a peripheral's data.
bool is_snapshot(const std::string& path) {
  return is_inside(path, "/var") && path != "/var/lib" && path != "/var/lib/honeycomb" &&
         !is_inside(path, "/var/lib/honeycomb");
}

// Takes the members out of the object one by one; each refusal names the key and its place.
class Reader {
 public:
  Reader(std::string_view text, const Json& object) : text_(text), object_(object) {}

  Status check_names() const {
    for (const auto& [key, value] : object_.items())
      if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end()) return wrong(key, "is not a known key");
    for (const char* key : {"peripheral_name", "config_version", "retry_state_check", "retry_install", "retry_verify"})
      if (!object_.contains(key))
        return Error(Code::invalid, "the key `" + std::string(key) + "` is missing")
            .with_hint("add it: it is required");
    return ok;
  }

  Status integer(const char* key, std::int64_t least, std::int64_t most, std::int64_t& value) const {
    const Json* member = find(key);
    if (member == nullptr) return ok;
    const std::string range = "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
    if (!member->is_number_integer()) return wrong(key, "must be " + range + ", not " + kind_of(*member));
    // nlohmann keeps every number that is not negative unsigned, also those above the signed range.
    const bool above = member->is_number_unsigned() && member->get<std::uint64_t>() > static_cast<std::uint64_t>(most);
    if (above || member->get<std::int64_t>() < least) return wrong(key, "must be " + range + ", not " + member->dump());
    value = member->get<std::int64_t>();
    return ok;
  }
  Status integer(const char* key, std::int64_t least, std::int64_t most, int& value) const {
    std::int64_t wide = value;
    HC_TRY(integer(key, least, most, wide));
    value = static_cast<int>(wide);
    return ok;
  }

  Status boolean(const char* key, bool& value) const {
    const Json* member = find(key);
    if (member == nullptr) return ok;
    if (!member->is_boolean()) return wrong(key, "must be true or false, not " + kind_of(*member));
    value = member->get<bool>();
    return ok;
  }

  // One line of at most kMostLine bytes.
  Status line(const char* key, std::string& value) const {
    HC_TRY(text(key, kMostLine, value));
    if (find(key) != nullptr && (value.empty() || !is_line(value))) return wrong(key, "must be one line of text");
    return ok;
  }

  Status text(const char* key, std::size_t most, std::string& value) const {
    const Json* member = find(key);
    if (member == nullptr) return ok;
    if (!member->is_string()) return wrong(key, "must be a string, not " + kind_of(*member));
    value = member->get<std::string>();
    if (value.size() > most) return wrong(key, "has more than " + std::to_string(most) + " bytes");
    if (value != printable(value)) return wrong(key, "holds control characters");
    return ok;
  }

  bool names(const char* key) const { return find(key) != nullptr; }

  // A list of strings, each of which passes `good`.
  Status list(const char* key, bool (*good)(const std::string&), const char* wanted, Strings& values) const {
    const Json* member = find(key);
    if (member == nullptr) return ok;
    if (!member->is_array() || member->size() > kMostEntries)
      return wrong(key, "must be a list of at most " + std::to_string(kMostEntries) + " strings");
    for (const Json& entry : *member) {
      if (!entry.is_string()) return wrong(key, "must hold strings only, not " + kind_of(entry));
      values.push_back(entry.get<std::string>());
      if (!good(values.back())) return wrong(key, "holds " + quote(values.back()) + ", which is no " + wanted);
    }
    return ok;
  }

  Status requires_versions(std::map<std::string, std::string>& versions) const {
    constexpr const char* kKey = "requires";
    const Json* member = find(kKey);
    if (member == nullptr) return ok;
    if (!member->is_object() || member->size() > kMostEntries)
      return wrong(kKey, "must be an object: target to least version");
    for (const auto& [target, version] : member->items()) {
      if (auto parsed = Target::parse(target); !parsed) return wrong(kKey, "is wrong: " + parsed.error().text());
      if (!version.is_string()) return wrong(kKey, "must hold versions as strings, not " + kind_of(version));
      if (auto parsed = Version::parse(version.get<std::string>()); !parsed)
        return wrong(kKey, "is wrong: " + parsed.error().text());
      versions[target] = version.get<std::string>();
    }
    return ok;
  }

  Status network(PeripheralMetadata& metadata) const {
    constexpr const char* kKey = "network";
    const Json* member = find(kKey);
    if (member == nullptr) return ok;
    if (*member == "none") {
      metadata.network = PeripheralMetadata::Network::none;
    } else if (*member == "loopback") {
      metadata.network = PeripheralMetadata::Network::loopback;
    } else if (member->is_array() && !member->empty()) {
      metadata.network = PeripheralMetadata::Network::hosts;
      return list(kKey, is_host, "host name or address", metadata.hosts);
    } else {
      return wrong(kKey, "must be \"none\", \"loopback\" or a list of hosts");
    }
    return ok;
  }

  Error wrong(std::string_view key, const std::string& why) const {
    return {Code::invalid, place_of_key(text_, key) + ": " + quote(key) + " " + why};
  }

 private:
  const Json* find(const char* key) const {
    const auto member = object_.find(key);
    return member == object_.end() ? nullptr : &*member;
  }
  static std::string kind_of(const Json& value) {
    if (value.is_number_float()) return "the number " + value.dump();
    return "a value of type " + std::string(value.type_name());
  }

  std::string_view text_;
  const Json& object_;
};

Status read_names(const Reader& reader, PeripheralMetadata& metadata) {
  HC_TRY(reader.line("peripheral_name", metadata.peripheral_name));
  auto target = target_named(metadata.peripheral_name);
  if (!target) return reader.wrong("peripheral_name", "is wrong: " + target.error().text());
  metadata.target = *target;

  std::string text;
  HC_TRY(reader.line("config_version", text));
  auto version = Version::parse(text);
  if (!version) return reader.wrong("config_version", "is wrong: " + version.error().text());
  metadata.config_version = *version;

  metadata.upgrade_name = metadata.peripheral_name + "-" + text;
  HC_TRY(reader.line("upgrade_name", metadata.upgrade_name));
  return reader.text("description", kMostDescription, metadata.description);
}

Status read_limits(const Reader& reader, PeripheralMetadata& metadata) {
  HC_TRY(reader.integer("retry_state_check", -1, kMostRetries, metadata.retry_state_check));
  HC_TRY(reader.integer("retry_install", -1, kMostRetries, metadata.retry_install));
  HC_TRY(reader.integer("retry_verify", -1, kMostRetries, metadata.retry_verify));
  HC_TRY(reader.integer("timeout_state_check_s", 1, kMostSeconds, metadata.timeout_state_check_s));
  HC_TRY(reader.integer("timeout_install_s", 1, kMostSeconds, metadata.timeout_install_s));
  return reader.integer("timeout_verify_s", 1, kMostSeconds, metadata.timeout_verify_s);
}

Status read_rights(const Reader& reader, PeripheralMetadata& metadata) {
  if (reader.names("devices")) {
    metadata.devices.emplace();
    HC_TRY(reader.list("devices", is_device, "path below /dev", *metadata.devices));
  }
  HC_TRY(reader.network(metadata));
  HC_TRY(reader.line("user", metadata.user));
  if (!metadata.user.empty() && !is_user(metadata.user)) return reader.wrong("user", "is no user's name");
  return reader.list("snapshot", is_snapshot, "plain path below /var outside the engine's own /var/lib/honeycomb",
                     metadata.snapshot);
}

Status read_original_keys(const Reader& reader) {
  bool force_install = false;
  std::string config_file;
  HC_TRY(reader.boolean("force_install", force_install));
  return reader.line("config_file", config_file);
}

}  // namespace

Result<PeripheralMetadata> parse_metadata(std::string_view text) {
  const Json json = HC_TRY(parse_json(text, kFileLimit));
  if (!json.is_object())
    return Error(Code::invalid, "line 1, column 1 (byte 0): an object is wanted, not a value of type " +
                                    std::string(json.type_name()));
  const Reader reader(text, json);
  PeripheralMetadata metadata;
  HC_TRY(reader.check_names());
  HC_TRY(read_names(reader, metadata));
  HC_TRY(read_limits(reader, metadata));
  HC_TRY(reader.list("compatible", is_model, "model", metadata.compatible));
  HC_TRY(reader.requires_versions(metadata.requires_versions));
  HC_TRY(reader.boolean("reboot", metadata.reboot));
  HC_TRY(read_rights(reader, metadata));
  HC_TRY(read_original_keys(reader));
  return metadata;
}

Result<Target> target_named(std::string_view peripheral_name) {
  std::string word(peripheral_name);
  for (char& c : word) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == ' ') c = '-';
  }
  auto target = Target::parse(word);
  if (!target)
    return Error(Code::invalid,
                 quote(peripheral_name) +
                     " is no peripheral's name: letters, digits, spaces, `-`, `_`, `.`, at most 64, are allowed");
  if (target->is_os()) return Error(Code::invalid, quote(peripheral_name) + " is the operating system's own name");
  return target;
}

}  // namespace hc
