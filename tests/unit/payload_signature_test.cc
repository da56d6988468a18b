#include <gmock/gmock.h>

#include <array>
#include <string>

#include "engine/payload/signature.h"
#include "tests/unit/payload_testing.h"

namespace hc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_payload::byte_array;
using testing_payload::serialized;

const std::string kFirst(64, 'a');
const std::string kSecond(64, 'b');

std::string refusal(std::string_view detached) {
  const auto read = read_signatures(detached);
  if (read) return "accepted";
  EXPECT_EQ(read.error().code(), Code::invalid);
  EXPECT_FALSE(append_signature(detached, kFirst));
  return read.error().text();
}

// Detached metadata whose `ostree.sign.ed25519` is `value`.
std::string detached_with(GVariant* value) {
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sv}"));
  g_variant_builder_add(&builder, "{sv}", "ostree.sign.ed25519", value);
  return serialized(g_variant_builder_end(&builder));
}

TEST(Signatures, NoneWhereThereIsNoMetadata) { EXPECT_THAT(read_signatures("").value(), IsEmpty()); }

TEST(Signatures, AreReadInTheirOrder) {
  const std::string one = append_signature("", kFirst).value();
  const std::string two = append_signature(one, kSecond).value();
  EXPECT_THAT(read_signatures(one).value(), ElementsAre(kFirst));
  EXPECT_THAT(read_signatures(two).value(), ElementsAre(kFirst, kSecond));
}

TEST(Signatures, AppendingTwiceChangesNothing) {
  const std::string one = append_signature("", kFirst).value();
  EXPECT_EQ(append_signature(one, kFirst).value(), one);
}

TEST(Signatures, OtherKeysStay) {
  const std::string detached = serialized(g_variant_new_parsed("{'ostree.gpgsigs': <[b'x']>, 'other': <uint32 7>}"));
  EXPECT_THAT(read_signatures(detached).value(), IsEmpty());
  const std::string extended = append_signature(detached, kFirst).value();
  const Bytes bytes(g_bytes_new(extended.data(), extended.size()));
  const Variant read(g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE("a{sv}"), bytes.get(), FALSE)));
  std::uint32_t other = 0;
  EXPECT_TRUE(g_variant_lookup(read.get(), "other", "u", &other));
  EXPECT_EQ(other, 7u);
  EXPECT_TRUE(g_variant_lookup(read.get(), "ostree.gpgsigs", "aay", nullptr));
  EXPECT_THAT(read_signatures(extended).value(), ElementsAre(kFirst));
}

TEST(Signatures, AreInUpstreamsLayout) {
  EXPECT_EQ(append_signature("", kFirst).value(),
            detached_with(g_variant_new_array(G_VARIANT_TYPE("ay"), std::array{byte_array(kFirst)}.data(), 1)));
}

TEST(Signatures, MalformedMetadataIsRefused) {
  EXPECT_THAT(refusal("<html>"), HasSubstr("detached metadata"));
  EXPECT_THAT(refusal(detached_with(g_variant_new_string("x"))), HasSubstr("has type s instead of aay"));
  EXPECT_THAT(refusal(detached_with(g_variant_new_parsed("[b'short']"))), HasSubstr("signature 1 has 6 bytes"));
  GVariantBuilder many;
  g_variant_builder_init(&many, G_VARIANT_TYPE("aay"));
  for (int i = 0; i < 65; ++i) g_variant_builder_add_value(&many, byte_array(kFirst));
  EXPECT_THAT(refusal(detached_with(g_variant_builder_end(&many))), HasSubstr("65 signatures; at most 64"));
}

TEST(Signatures, NoBytesCrashIt) {
  const std::string good = append_signature(append_signature("", kFirst).value(), kSecond).value();
  for (std::size_t at = 0; at < good.size(); ++at) {
    static_cast<void>(read_signatures(good.substr(0, at)));
    std::string flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x81);
    static_cast<void>(read_signatures(flipped));
    static_cast<void>(append_signature(flipped, kFirst));
  }
}

}  // namespace
}  // namespace hc
