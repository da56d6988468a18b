#include "engine/payload/manifest.h"

#include <algorithm>

#include "engine/base/text.h"
#include "engine/payload/variant.h"

namespace hc {
namespace {

constexpr const char* kFormatKey = "honeycomb.format";
constexpr const char* kKindKey = "honeycomb.kind";
constexpr const char* kTargetKey = "honeycomb.target";
constexpr const char* kVersionKey = "version";
constexpr const char* kSequenceKey = "honeycomb.sequence";
constexpr const char* kCompatibleKey = "honeycomb.compatible";
constexpr const char* kExpiresKey = "honeycomb.expires";
constexpr const char* kRequiresKey = "honeycomb.requires";
constexpr const char* kCarriesKey = "honeycomb.carries";
constexpr const char* kChangelogKey = "honeycomb.changelog";

// libostree's commit object: metadata, parent, related objects, subject, body, timestamp, root tree, root meta.
constexpr const char* kCommitType = "(a{sv}aya(say)sstayay)";
constexpr gsize kMetadataChild = 0;
constexpr gsize kTimestampChild = 5;

constexpr std::size_t kMostEntries = 256;
constexpr std::size_t kMostPattern = 256;
constexpr std::size_t kMostChangelog = 64 << 10;
constexpr std::uint64_t kLatestTime = 253'402'300'799;  // the last second of the year 9999

Error wrong(const char* key, const std::string& why) {
  return {Code::invalid, "the key `" + std::string(key) + "` " + why};
}

Result<std::int64_t> time_of(const char* key, std::uint64_t seconds) {
  if (seconds > kLatestTime) return wrong(key, "is no time: " + std::to_string(seconds) + " seconds");
  return static_cast<std::int64_t>(seconds);
}

// Reads the keys that Honeycomb owns out of the commit's metadata.
class Reader {
 public:
  explicit Reader(GVariant* metadata) : metadata_(metadata) {}

  Result<Manifest> manifest() const {
    Manifest manifest;
    manifest.format = HC_TRY(format());
    manifest.kind = HC_TRY(kind());
    manifest.target = HC_TRY(target());
    if (manifest.target.is_os() != (manifest.kind == PayloadKind::os))
      return wrong(kTargetKey,
                   "is " + quote(manifest.target.name()) + ", but the kind is " + std::string(name(manifest.kind)));
    const std::string version = HC_TRY(text(kVersionKey));
    manifest.version = HC_TRY(Version::parse(version).in("the key `version`"));
    manifest.sequence = HC_TRY(sequence());
    manifest.compatible = HC_TRY(compatible());
    manifest.expires = HC_TRY(expires());
    manifest.requires_versions = HC_TRY(versions(kRequiresKey));
    manifest.carries = HC_TRY(versions(kCarriesKey));
    manifest.changelog = HC_TRY(changelog());
    return manifest;
  }

 private:
  Result<std::uint32_t> format() const {
    const Variant value = HC_TRY(find_value(metadata_, kFormatKey, "u"));
    if (!value)
      return Error(Code::invalid, "the commit is no Honeycomb payload: it has no key `honeycomb.format`")
          .with_hint("build it with `hc-payload build`");
    const std::uint32_t format = GUINT32_FROM_BE(g_variant_get_uint32(value.get()));
    if (format > Manifest::kFormat)
      return Error(Code::invalid, "the payload has format " + std::to_string(format) + ", this engine reads up to " +
                                      std::to_string(Manifest::kFormat) + ": a newer engine is needed")
          .with_hint("upgrade the target `os` first");
    if (format == 0) return wrong(kFormatKey, "is 0, which no engine ever wrote");
    return format;
  }

  Result<Variant> required(const char* key, const char* type) const {
    Variant value = HC_TRY(find_value(metadata_, key, type));
    if (!value) return wrong(key, "is missing");
    return value;
  }

  Result<std::string> text(const char* key) const {
    const Variant value = HC_TRY(required(key, "s"));
    return std::string(g_variant_get_string(value.get(), nullptr));
  }

  Result<PayloadKind> kind() const {
    const std::string word = HC_TRY(text(kKindKey));
    for (const PayloadKind kind : {PayloadKind::os, PayloadKind::peripheral})
      if (word == name(kind)) return kind;
    return wrong(kKindKey, "is " + quote(word) + "; `os` and `peripheral` are known");
  }

  Result<Target> target() const {
    const std::string word = HC_TRY(text(kTargetKey));
    return Target::parse(word).in("the key `honeycomb.target`");
  }

  Result<std::uint64_t> sequence() const {
    const Variant value = HC_TRY(required(kSequenceKey, "t"));
    return GUINT64_FROM_BE(g_variant_get_uint64(value.get()));
  }

  Result<std::vector<std::string>> compatible() const {
    const Variant value = HC_TRY(required(kCompatibleKey, "as"));
    const gsize count = g_variant_n_children(value.get());
    if (count > kMostEntries) return wrong(kCompatibleKey, "has " + std::to_string(count) + " entries");
    std::vector<std::string> models;
    for (gsize i = 0; i < count; ++i) {
      const Variant entry(g_variant_get_child_value(value.get(), i));
      models.emplace_back(g_variant_get_string(entry.get(), nullptr));
      if (models.back().empty() || models.back().size() > kMostPattern)
        return wrong(kCompatibleKey, "has an entry of " + std::to_string(models.back().size()) + " bytes");
    }
    return models;
  }

  Result<std::optional<std::int64_t>> expires() const {
    const Variant value = HC_TRY(find_value(metadata_, kExpiresKey, "t"));
    if (!value) return std::optional<std::int64_t>();
    return std::optional(HC_TRY(time_of(kExpiresKey, GUINT64_FROM_BE(g_variant_get_uint64(value.get())))));
  }

  Result<std::map<std::string, std::string>> versions(const char* key) const {
    std::map<std::string, std::string> versions;
    const Variant value = HC_TRY(find_value(metadata_, key, "a{ss}"));
    const gsize count = value ? g_variant_n_children(value.get()) : 0;
    if (count > kMostEntries) return wrong(key, "has " + std::to_string(count) + " entries");
    for (gsize i = 0; i < count; ++i) {
      const char* target = nullptr;
      const char* version = nullptr;
      const Variant entry(g_variant_get_child_value(value.get(), i));
      g_variant_get(entry.get(), "{&s&s}", &target, &version);
      HC_TRY(Target::parse(target).in("the key `" + std::string(key) + "`"));
      HC_TRY(Version::parse(version).in("the key `" + std::string(key) + "`"));
      if (!versions.emplace(target, version).second) return wrong(key, "names " + quote(target) + " twice");
    }
    return versions;
  }

  Result<std::string> changelog() const {
    const Variant value = HC_TRY(find_value(metadata_, kChangelogKey, "s"));
    if (!value) return std::string();
    std::string changelog = g_variant_get_string(value.get(), nullptr);
    if (changelog.size() > kMostChangelog)
      return wrong(kChangelogKey, "has " + std::to_string(changelog.size()) + " bytes");
    return changelog;
  }

  GVariant* metadata_;
};

void add(GVariantBuilder& builder, const char* key, GVariant* value) {
  g_variant_builder_add(&builder, "{sv}", key, value);
}

GVariant* strings(const std::vector<std::string>& texts) {
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("as"));
  for (const std::string& text : texts) g_variant_builder_add(&builder, "s", text.c_str());
  return g_variant_builder_end(&builder);
}

GVariant* string_map(const std::map<std::string, std::string>& map) {
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
  for (const auto& [key, value] : map) g_variant_builder_add(&builder, "{ss}", key.c_str(), value.c_str());
  return g_variant_builder_end(&builder);
}

GVariant* number(std::uint64_t value) { return g_variant_new_uint64(GUINT64_TO_BE(value)); }

}  // namespace

std::string_view name(PayloadKind kind) { return kind == PayloadKind::os ? "os" : "peripheral"; }

Variant Manifest::to_metadata() const {
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sv}"));
  add(builder, kFormatKey, g_variant_new_uint32(GUINT32_TO_BE(format)));
  add(builder, kKindKey, g_variant_new_string(std::string(name(kind)).c_str()));
  add(builder, kTargetKey, g_variant_new_string(target.name().c_str()));
  add(builder, kVersionKey, g_variant_new_string(version.text().c_str()));
  add(builder, kSequenceKey, number(sequence));
  add(builder, kCompatibleKey, strings(compatible));
  if (expires) add(builder, kExpiresKey, number(static_cast<std::uint64_t>(*expires)));
  if (!requires_versions.empty()) add(builder, kRequiresKey, string_map(requires_versions));
  if (!carries.empty()) add(builder, kCarriesKey, string_map(carries));
  if (!changelog.empty()) add(builder, kChangelogKey, g_variant_new_string(changelog.c_str()));
  return Variant(g_variant_ref_sink(g_variant_builder_end(&builder)));
}

Result<Manifest> read_manifest(std::string_view commit_bytes) {
  const Variant commit = HC_TRY(parse_variant(commit_bytes, kCommitType, "the commit object"));
  const Variant metadata(g_variant_get_child_value(commit.get(), kMetadataChild));
  Manifest manifest = HC_TRY(Reader(metadata.get()).manifest());
  std::uint64_t built_at = 0;
  g_variant_get_child(commit.get(), kTimestampChild, "t", &built_at);
  manifest.built_at = HC_TRY(time_of("timestamp", GUINT64_FROM_BE(built_at)));
  return manifest;
}

Json to_json(const Manifest& manifest) {
  Json json = {{"format", manifest.format},        {"kind", std::string(name(manifest.kind))},
               {"target", manifest.target.name()}, {"version", manifest.version.text()},
               {"sequence", manifest.sequence},    {"compatible", manifest.compatible},
               {"requires", Json::object()},       {"carries", Json::object()},
               {"built_at", manifest.built_at}};
  for (const auto& [target, version] : manifest.requires_versions) json["requires"][target] = version;
  for (const auto& [target, version] : manifest.carries) json["carries"][target] = version;
  if (manifest.expires) json["expires"] = *manifest.expires;
  if (!manifest.changelog.empty()) json["changelog"] = manifest.changelog;
  return json;
}

Commit commit_of(std::string_view commit_bytes) {
  const GText hex(g_compute_checksum_for_data(G_CHECKSUM_SHA256, reinterpret_cast<const guchar*>(commit_bytes.data()),
                                              commit_bytes.size()));
  return Commit::parse(hex.get()).value();
}

}  // namespace hc
