#include <gmock/gmock.h>

#include <string>

#include "engine/base/json.h"

namespace hc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// The words of the refusal, or "accepted".
std::string refusal(std::string_view text, std::size_t limit = 16 << 20) {
  const auto json = parse_json(text, limit);
  if (json) return "accepted";
  EXPECT_EQ(json.error().code(), Code::invalid);
  return json.error().text();
}

TEST(ParseJson, ReadsWhatRfc8259Allows) {
  const auto json = parse_json(" {\"a\": [1, -2, 2.5, 1e3, true, null, \"\\u00e4\\ud83d\\ude00\"], \"b\": {}} \n");
  ASSERT_TRUE(json) << json.error().text();
  EXPECT_EQ((*json)["a"][1], -2);
  EXPECT_EQ((*json)["a"][6], "\u00e4\U0001F600");
  EXPECT_TRUE((*json)["b"].is_object());
}

TEST(ParseJson, KeepsTheOrderOfKeys) {
  EXPECT_EQ(dump_json(*parse_json(R"({"z":1,"a":2})"), -1), "{\"z\":1,\"a\":2}\n");
}

TEST(ParseJson, DuplicateKeyIsNamedWithItsPlace) {
  EXPECT_EQ(refusal("{\n  \"config_version\": \"1\",\n  \"config_version\": \"2\"\n}"),
            "line 3, column 3 (byte 29): the key `config_version` stands twice");
}

TEST(ParseJson, DuplicateKeyWrittenDifferentlyIsStillDuplicate) {
  EXPECT_EQ(refusal(R"({"a":1,"\u0061":2})"), "line 1, column 8 (byte 7): the key `a` stands twice");
}

TEST(ParseJson, SameKeyInTwoObjectsIsNoDuplicate) { EXPECT_EQ(refusal(R"({"a":{"a":1},"b":{"a":1}})"), "accepted"); }

TEST(ParseJson, DuplicateInANestedObject) {
  EXPECT_THAT(refusal(R"({"r":{"os":"1","os":"2"}})"), HasSubstr("column 16 (byte 15): the key `os` stands twice"));
}

TEST(ParseJson, ByteOrderMark) {
  EXPECT_EQ(refusal("\xef\xbb\xbf{}"), "line 1, column 1 (byte 0): a byte-order mark stands before the JSON");
}

TEST(ParseJson, Comments) {
  EXPECT_THAT(refusal("{\n// no\n}"), StartsWith("line 2, column 1 (byte 2): syntax error"));
  EXPECT_THAT(refusal("{} /* no */"), StartsWith("line 1, column 4 (byte 3): syntax error"));
}

TEST(ParseJson, TrailingComma) {
  EXPECT_THAT(refusal("{\"a\":1,}"), StartsWith("line 1, column 8 (byte 7): syntax error"));
  EXPECT_THAT(refusal("[1,]"), StartsWith("line 1, column 4 (byte 3): syntax error"));
}

TEST(ParseJson, NumbersOutOfRange) {
  EXPECT_EQ(refusal("{\"a\":1,\n \"retry_install\": 1e400}"),
            "line 2, column 19 (byte 26): the number `1e400` is out of range");
  EXPECT_EQ(refusal("[18446744073709551616]"),
            "line 1, column 2 (byte 1): the number `18446744073709551616` is out of range");
  EXPECT_THAT(refusal("[-9223372036854775809]"), HasSubstr("(byte 1): the number `-9223372036854775809` is out of"));
  EXPECT_THAT(refusal("[" + std::string(500, '9') + "]"), HasSubstr("is out of range"));
}

TEST(ParseJson, NumbersAtTheEdgeKeepTheirValue) {
  EXPECT_EQ((*parse_json("[9223372036854775808]"))[0].get<std::uint64_t>(), 9223372036854775808ULL);
  EXPECT_EQ((*parse_json("[-9223372036854775808]"))[0].get<std::int64_t>(), std::numeric_limits<std::int64_t>::min());
}

TEST(ParseJson, NotANumber) {
  for (const char* text : {"[NaN]", "[Infinity]", "[01]", "[+1]", "[1.]", "[.5]", "[0x10]"})
    EXPECT_THAT(refusal(text), HasSubstr("byte ")) << text;
}

TEST(ParseJson, NulInStringsAndKeys) {
  EXPECT_EQ(refusal("{\"peripheral_name\": \"a\\u0000b\"}"),
            "line 1, column 21 (byte 20): a string holds a NUL character");
  EXPECT_EQ(refusal("{\"a\": 1, \"\\u0000\": 2}"), "line 1, column 10 (byte 9): a key holds a NUL character");
  EXPECT_THAT(refusal(std::string_view("\"a\0b\"", 5)), HasSubstr("(byte 2)"));
}

TEST(ParseJson, RawNewlineInAString) { EXPECT_THAT(refusal("{\"a\": \"x\ny\"}"), HasSubstr("control character")); }

TEST(ParseJson, NestingHasABound) {
  EXPECT_EQ(refusal(std::string(32, '[') + std::string(32, ']')), "accepted");
  EXPECT_EQ(refusal(std::string(100'000, '[')), "line 1, column 33 (byte 32): nested deeper than 32");
  std::string objects;
  for (int i = 0; i < 1000; ++i) objects += "{\"a\":";
  EXPECT_THAT(refusal(objects), HasSubstr("nested deeper than 32"));
}

TEST(ParseJson, SizeHasABound) {
  EXPECT_EQ(refusal("[1, 2, 3]", 4), "line 1, column 1 (byte 0): the JSON has 9 bytes; at most 4 are allowed");
  EXPECT_THAT(refusal("\"" + std::string(50'000'000, 'x') + "\""), HasSubstr("50000002 bytes"));
}

TEST(ParseJson, LoneSurrogatesAndBadUtf8) {
  EXPECT_THAT(refusal(R"(["\ud800"])"), HasSubstr("surrogate"));
  EXPECT_THAT(refusal(R"(["\udc00"])"), HasSubstr("surrogate"));
  EXPECT_THAT(refusal("[\"\xff\"]"), HasSubstr("(byte 2): syntax error"));
  EXPECT_THAT(refusal("[\"\xed\xa0\x80\"]"), HasSubstr("UTF-8"));
}

TEST(ParseJson, EmptyAndTrailing) {
  EXPECT_THAT(refusal(""), StartsWith("line 1, column 1 (byte 0): syntax error"));
  EXPECT_THAT(refusal(" \n "), HasSubstr("unexpected end of input"));
  EXPECT_THAT(refusal("{}x"), StartsWith("line 1, column 3 (byte 2): syntax error"));
  EXPECT_THAT(refusal("{}{}"), StartsWith("line 1, column 3 (byte 2): syntax error"));
  EXPECT_EQ(refusal(std::string_view("{}\0{}", 5)), "line 1, column 3 (byte 2): a NUL byte stands in the JSON");
}

TEST(ParseJson, ARefusalIsSafeToShow) {
  EXPECT_THAT(refusal("{\"\\u001b[2J\":1,\"\\u001b[2J\":2}"), Not(HasSubstr("\x1b")));
  EXPECT_THAT(refusal("\x1b[2J"), Not(HasSubstr("\x1b")));
}

TEST(ParseJson, EveryPrefixIsRefusedAndNoneCrashes) {
  const std::string text = R"({"a": [1, -2.5e3, "x\u00e4", {"b": null}], "c": true})";
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_THAT(refusal(text.substr(0, size)), HasSubstr("byte ")) << size;
}

TEST(PlaceOfKey, FindsTheOutermostOneOnly) {
  const std::string text = "{\n  \"x\": {\"wanted\": 1},\n\n  \"n\": 12,   \"wanted\": 2}";
  EXPECT_EQ(place_of_key(text, "wanted"), "line 4, column 14 (byte 38)");
  EXPECT_EQ(place_of_key(text, "x"), "line 2, column 3 (byte 4)");
}

TEST(DumpJson, IsAlwaysValidUtf8) {
  const Json json = {{"a", "bad \xff"}};
  EXPECT_EQ(dump_json(json, -1), "{\"a\":\"bad \ufffd\"}\n");
}

}  // namespace
}  // namespace hc
