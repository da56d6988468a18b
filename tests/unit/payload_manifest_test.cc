#include <gmock/gmock.h>

#include <functional>
#include <utility>
#include <vector>

#include "engine/payload/manifest.h"
#include "tests/unit/payload_testing.h"

namespace hc {
namespace {

using ::testing::HasSubstr;
using testing_payload::commit_for;
using testing_payload::commit_with;
using testing_payload::sample_manifest;

// The metadata of sample_manifest() with `key` set to `value` (nullptr: without it).
GVariant* metadata_with(const char* key, GVariant* value) {
  const Variant good = sample_manifest().to_metadata();
  GVariantDict dict;
  g_variant_dict_init(&dict, good.get());
  if (value == nullptr) {
    g_variant_dict_remove(&dict, key);
  } else {
    g_variant_dict_insert_value(&dict, key, value);
  }
  return g_variant_dict_end(&dict);
}

std::string refusal(std::string_view commit) {
  const auto manifest = read_manifest(commit);
  if (manifest) return "accepted";
  EXPECT_EQ(manifest.error().code(), Code::invalid);
  return manifest.error().text();
}

TEST(Manifest, IsReadAsItWasWritten) {
  Manifest written = sample_manifest();
  written.kind = PayloadKind::peripheral;
  written.target = Target::parse("ptz-camera").value();
  written.compatible = {"wsn-*", "dell-xr2"};
  written.expires = 1'800'000'000;
  written.requires_versions = {{"os", "2.0"}, {"network-switch", "1.1"}};
  written.changelog = "Zoom works again.\n";
  written.carries = {{"ptz-camera", "1.4"}};
  const auto read = read_manifest(commit_for(written));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->kind, PayloadKind::peripheral);
  EXPECT_EQ(read->target.name(), "ptz-camera");
  EXPECT_EQ(read->version.text(), "2.4.0");
  EXPECT_EQ(read->sequence, 12u);
  EXPECT_EQ(read->compatible, written.compatible);
  EXPECT_EQ(read->expires, written.expires);
  EXPECT_EQ(read->requires_versions, written.requires_versions);
  EXPECT_EQ(read->changelog, written.changelog);
  EXPECT_EQ(read->carries, written.carries);
  EXPECT_EQ(read->built_at, 1'700'000'000);
  EXPECT_EQ(read->format, Manifest::kFormat);
}

TEST(Manifest, NumbersAreBigEndianInTheCommit) {
  const Variant metadata = sample_manifest().to_metadata();
  std::uint64_t sequence = 0;
  ASSERT_TRUE(g_variant_lookup(metadata.get(), "honeycomb.sequence", "t", &sequence));
  EXPECT_EQ(GUINT64_FROM_BE(sequence), 12u);
}

TEST(Manifest, WritingIsDeterministic) { EXPECT_EQ(commit_for(sample_manifest()), commit_for(sample_manifest())); }

TEST(Manifest, ForeignKeysPassUnread) {
  EXPECT_EQ(refusal(commit_with(metadata_with("ostree.bootable", g_variant_new_boolean(TRUE)))), "accepted");
}

TEST(Manifest, ForeignCommitIsNoPayload) {
  const Variant empty(g_variant_ref_sink(g_variant_new("a{sv}", nullptr)));
  EXPECT_THAT(refusal(commit_with(empty.get())), HasSubstr("no Honeycomb payload"));
}

TEST(Manifest, NewerFormatAsksForANewerEngine) {
  EXPECT_THAT(refusal(commit_with(metadata_with("honeycomb.format", g_variant_new_uint32(GUINT32_TO_BE(2))))),
              HasSubstr("format 2, this engine reads up to 1: a newer engine is needed"));
  EXPECT_THAT(refusal(commit_with(metadata_with("honeycomb.format", g_variant_new_uint32(0)))), HasSubstr("is 0"));
}

TEST(Manifest, EachRequiredKeyIsMissed) {
  for (const char* key :
       {"honeycomb.kind", "honeycomb.target", "version", "honeycomb.sequence", "honeycomb.compatible"})
    EXPECT_EQ(refusal(commit_with(metadata_with(key, nullptr))), "the key `" + std::string(key) + "` is missing");
}

TEST(Manifest, EachKeyIsStrictAboutItsType) {
  for (const char* key :
       {"honeycomb.format", "honeycomb.kind", "honeycomb.target", "version", "honeycomb.sequence",
        "honeycomb.compatible", "honeycomb.expires", "honeycomb.requires", "honeycomb.carries", "honeycomb.changelog"})
    EXPECT_THAT(refusal(commit_with(metadata_with(key, g_variant_new_byte(1)))),
                HasSubstr("the key `" + std::string(key) + "` has type y instead of "));
}

TEST(Manifest, AKeyThatStandsTwiceIsRefused) {
  const Variant good = sample_manifest().to_metadata();
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sv}"));
  for (gsize i = 0; i < g_variant_n_children(good.get()); ++i) {
    const Variant entry(g_variant_get_child_value(good.get(), i));
    g_variant_builder_add_value(&builder, entry.get());
  }
  g_variant_builder_add(&builder, "{sv}", "honeycomb.target", g_variant_new_string("ptz"));
  EXPECT_EQ(refusal(commit_with(g_variant_builder_end(&builder))), "the key `honeycomb.target` stands twice");
}

TEST(Manifest, BadValuesAreNamed) {
  using Case = std::pair<const char*, GVariant*>;
  const std::vector<Case> cases = {
      {"honeycomb.kind", g_variant_new_string("firmware")},
      {"honeycomb.target", g_variant_new_string("../etc")},
      {"honeycomb.target", g_variant_new_string("ptz")},  // the kind says os
      {"version", g_variant_new_string("1/2")},
      {"honeycomb.expires", g_variant_new_uint64(GUINT64_TO_BE(253'402'300'800))},
      {"honeycomb.requires", g_variant_new_parsed("{'../x': '1'}")},
      {"honeycomb.requires", g_variant_new_parsed("{'os': 'a b'}")},
      {"honeycomb.requires", g_variant_new_parsed("{'os': '1', 'os': '2'}")},
      {"honeycomb.compatible", g_variant_new_parsed("['']")},
      {"honeycomb.changelog", g_variant_new_string(std::string(70'000, 'x').c_str())},
  };
  for (const auto& [key, value] : cases)
    EXPECT_THAT(refusal(commit_with(metadata_with(key, value))), HasSubstr("the key `" + std::string(key) + "`"));
}

TEST(Manifest, PeripheralMayNotCallItselfOs) {
  EXPECT_THAT(refusal(commit_with(metadata_with("honeycomb.kind", g_variant_new_string("peripheral")))),
              HasSubstr("the key `honeycomb.target` is `os`, but the kind is peripheral"));
}

TEST(Manifest, ImpossibleTimestampIsRefused) {
  const Variant good = sample_manifest().to_metadata();
  EXPECT_THAT(refusal(commit_with(good.get(), ~std::uint64_t{0})), HasSubstr("the key `timestamp` is no time"));
}

TEST(Manifest, NoBytesCrashIt) {
  EXPECT_NE(refusal(""), "accepted");
  EXPECT_NE(refusal("<html>log in</html>"), "accepted");
  EXPECT_NE(refusal(std::string(100'000, '\0')), "accepted");
  EXPECT_THAT(refusal(std::string((10 << 20) + 1, 'x')), HasSubstr("at most 10485760 are allowed"));
  const std::string good = commit_for(sample_manifest());
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_NE(refusal(good.substr(0, size)), "accepted") << size;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const int bit : {1, 0x80}) {
      std::string flipped = good;
      flipped[at] = static_cast<char>(flipped[at] ^ bit);
      static_cast<void>(read_manifest(flipped));
    }
  }
}

TEST(Manifest, JsonNamesEveryField) {
  Manifest manifest = sample_manifest();
  manifest.expires = 5;
  manifest.requires_versions = {{"os", "1"}};
  const Json json = to_json(manifest);
  EXPECT_EQ(json["target"], "os");
  EXPECT_EQ(json["sequence"], 12);
  EXPECT_EQ(json["expires"], 5);
  EXPECT_EQ(json["requires"]["os"], "1");
  EXPECT_FALSE(json.contains("changelog"));
}

TEST(CommitOf, IsTheSha256OfTheBytes) {
  EXPECT_EQ(commit_of("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace hc
