#include "engine/upgrade/settings.h"

#include <algorithm>
#include <functional>

#include "engine/base/handle.h"
#include "engine/base/text.h"
#include "engine/upgrade/health_builtin.h"

namespace hc {
namespace {

using Setter = std::function<Status(Settings&, const std::string& value)>;

template <typename T>
Setter number(T Settings::*member, std::int64_t least, std::int64_t most) {
  return [=](Settings& settings, const std::string& value) -> Status {
    char* end = nullptr;
    errno = 0;
    const long long parsed = std::strtoll(value.c_str(), &end, 10);
    if (value.empty() || *end != '\0' || errno != 0 || parsed < least || parsed > most)
      return Error(Code::invalid,
                   quote(value) + " is no whole number from " + std::to_string(least) + " to " + std::to_string(most));
    settings.*member = static_cast<T>(parsed);
    return ok;
  };
}

Setter text(std::string Settings::*member) {
  return [=](Settings& settings, const std::string& value) -> Status {
    settings.*member = value;
    return ok;
  };
}

Setter loader() {
  return [](Settings& settings, const std::string& value) -> Status {
    constexpr std::string_view kKnown[] = {"auto", "grub", "uboot", "systemd-boot"};
    const bool known = std::find(std::begin(kKnown), std::end(kKnown), value) != std::end(kKnown);
    if (!known && !value.starts_with("custom:/"))
      return Error(Code::invalid, quote(value) + " is none of: auto, grub, uboot, systemd-boot, custom:/PROGRAM");
    settings.bootloader = value;
    return ok;
  };
}

Setter windows(Windows Settings::*member) {
  return [=](Settings& settings, const std::string& value) -> Status {
    settings.*member = HC_TRY(Windows::parse(value));
    return ok;
  };
}

// A check that nobody knows would block every upgrade, so a wrong name is an error here.
Setter checks(std::vector<std::string> Settings::*member) {
  return [=](Settings& settings, const std::string& value) -> Status {
    (settings.*member).clear();
    for (const std::string& part : split(value, ';')) {
      const std::string_view word = trimmed(part);
      if (word.empty()) continue;
      const auto& known = builtin_checks();
      if (std::find(known.begin(), known.end(), word) == known.end())
        return Error(Code::invalid, quote(word) + " is no built-in check: units, clock, disk, route, dns, hub");
      (settings.*member).emplace_back(word);
    }
    return ok;
  };
}

const std::map<std::string, Setter>& known_keys() {
  static const std::map<std::string, Setter> keys = {
      {"node/model", text(&Settings::model)},
      {"boot/loader", loader()},
      {"boot/tries", number(&Settings::tries, 1, 9)},
      {"slots/keep_versions", number(&Settings::keep_versions, 1, 1000)},
      {"health/soak_s", number(&Settings::soak_s, 0, 86'400)},
      {"health/deadline_s", number(&Settings::deadline_s, 0, 86'400)},
      {"health/timeout_s", number(&Settings::check_timeout_s, 1, 86'400)},
      {"health/hub", text(&Settings::hub)},
      {"health/required", checks(&Settings::required_checks)},
      {"health/wanted", checks(&Settings::wanted_checks)},
      {"network/connect_s", number(&Settings::connect_s, 1, 3'600)},
      {"network/stall_s", number(&Settings::stall_s, 1, 86'400)},
      {"network/limit_kbit", number(&Settings::limit_kbit, 0, 100'000'000)},
      {"maintenance/install", windows(&Settings::install_windows)},
      {"maintenance/download", windows(&Settings::download_windows)},
      {"network/attempts", number(&Settings::attempts, 1, 100)},
  };
  return keys;
}

Status put(Settings& settings, const std::string& group, const std::string& key, const std::string& value) {
  if (group == "threshold") {
    if (value.size() != 1 || value < "1" || value > "9")
      return Error(Code::invalid, quote(value) + " is no number of signatures from 1 to 9");
    settings.thresholds[key] = static_cast<unsigned>(value[0] - '0');
    return ok;
  }
  const auto known = known_keys().find(group + "/" + key);
  if (known == known_keys().end()) return Error(Code::invalid, "there is no such setting");
  return known->second(settings, value);
}

Result<Settings> parse(const std::string& content) {
  const KeyFile file(g_key_file_new());
  GErr err;
  if (!g_key_file_load_from_data(file.get(), content.c_str(), content.size(), G_KEY_FILE_NONE, err))
    return err.as(Code::invalid, "reading");
  Settings settings;
  const Handle<gchar*, g_strfreev> groups(g_key_file_get_groups(file.get(), nullptr));
  for (gchar** group = groups.get(); *group != nullptr; ++group) {
    const Handle<gchar*, g_strfreev> keys(g_key_file_get_keys(file.get(), *group, nullptr, nullptr));
    for (gchar** key = keys.get(); *key != nullptr; ++key) {
      const GText value(g_key_file_get_value(file.get(), *group, *key, nullptr));
      const std::string place = "[" + printable(*group) + "] " + printable(*key);
      HC_TRY(put(settings, *group, *key, std::string(trimmed(value ? value.get() : ""))).in(place));
    }
  }
  return settings;
}

}  // namespace

Result<Settings> Settings::load(const fs::path& file) {
  const std::optional<std::string> content = HC_TRY(read_file_if_exists(file, 1 << 20));
  if (!content) return Settings();
  auto settings = parse(*content).in(file.string());
  if (!settings) return std::move(settings).error().with_hint("mend that line; docs/operations.md lists every setting");
  return settings;
}

}  // namespace hc
