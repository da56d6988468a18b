#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/base/json.h"
#include "hooks/capture.h"

namespace hc {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::string masked_in_pieces(const SecretMask& mask, std::string_view text, std::size_t piece) {
  SecretMask stream = mask;
  std::string result;
  const auto sink = [&result](std::string_view part) { result += part; };
  for (std::size_t at = 0; at < text.size(); at += piece) stream.feed(text.substr(at, piece), sink);
  stream.flush(sink);
  return result;
}

struct MaskCase {
  std::vector<std::string> secrets;
  std::string text;
  std::string want;
};

TEST(SecretMaskTest, MasksWhateverThePieces) {
  const std::vector<MaskCase> cases = {
      {{"hunter2"}, "login admin:hunter2 ok", "login admin:*** ok"},
      {{"hunter2\n"}, "hunter2hunter2", "******"},
      {{"admin", "admin123"}, "admin admin123 adm", "*** *** adm"},
      {{"abc", "abcdef"}, "abcde abcdef", "***de ***"},
      {{"bc", "abcd"}, "abce abcd bc", "a***e *** ***"},
      {{"aab"}, "aaab aab", "a*** ***"},
      {{""}, "nothing", "nothing"},
      {{}, "nothing", "nothing"},
      {{"-----BEGIN\nsecretline\n}\n"}, "{ } secretline -----BEGIN", "{ } *** ***"},
      {{std::string("a\0b", 3)}, std::string("x a\0b y", 7), "x *** y"},
  };
  for (const MaskCase& c : cases) {
    const SecretMask mask(c.secrets);
    EXPECT_EQ(mask.masked(c.text), c.want);
    for (std::size_t piece = 1; piece <= c.text.size(); ++piece) {
      EXPECT_EQ(masked_in_pieces(mask, c.text, piece), c.want) << "pieces of " << piece;
    }
  }
}

class CaptureTest : public ::testing::Test {
 protected:
  OutputCapture make(const std::vector<std::string>& secrets = {}) {
    return {SecretMask(secrets), [this](std::string_view line) { lines_.emplace_back(line); }};
  }
  std::vector<std::string> lines_;
};

TEST_F(CaptureTest, KeepsAndShowsLines) {
  OutputCapture capture = make();
  for (const char byte : std::string("one\ntwo\r\nthree\rfour")) capture.feed({&byte, 1});
  EXPECT_THAT(lines_, ElementsAre("one", "two", "three"));
  capture.end();
  EXPECT_THAT(lines_, ElementsAre("one", "two", "three", "four"));
  EXPECT_EQ(capture.kept().text, "one\ntwo\nthree\nfour");
  EXPECT_EQ(capture.kept().dropped_bytes, 0U);
}

TEST_F(CaptureTest, RubbishIsMadeSafe) {
  OutputCapture capture = make();
  capture.feed(std::string("\x1b[2Jgone\0\xff\n\tok \xc3\xa4\n", 18));
  capture.end();
  EXPECT_EQ(capture.kept().text, "\\x1b[2Jgone\\x00\\xff\n\tok \xc3\xa4\n");
  EXPECT_THAT(lines_, ElementsAre("\\x1b[2Jgone\\x00\\xff", "\tok \xc3\xa4"));
}

TEST_F(CaptureTest, LongOutputKeepsHeadAndTail) {
  OutputCapture capture = make();
  std::uint64_t size = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    size += line.size();
    capture.feed(line);
  }
  capture.end();
  const auto kept = capture.kept();
  EXPECT_THAT(kept.text, StartsWith("line 0\nline 1\n"));
  EXPECT_THAT(kept.text, EndsWith("\nline 99999\n"));
  EXPECT_THAT(kept.text, HasSubstr(" kept ...]\nline "));
  EXPECT_LT(kept.text.size(), OutputCapture::kHead + OutputCapture::kTail + 100);
  EXPECT_GT(kept.dropped_bytes, size - OutputCapture::kHead - OutputCapture::kTail - 1);
  EXPECT_LT(kept.dropped_bytes, size);
}

TEST_F(CaptureTest, AtTheBrimNothingIsDropped) {
  for (const std::size_t more : {0U, 1U}) {
    OutputCapture capture = make();
    capture.feed(std::string(OutputCapture::kHead + OutputCapture::kTail + more, 'x'));
    capture.end();
    EXPECT_EQ(capture.kept().dropped_bytes, more);
  }
}

TEST_F(CaptureTest, OneEndlessLineIsBounded) {
  OutputCapture capture = make();
  const std::string chunk(1 << 16, 'x');
  for (int i = 0; i < 1600; ++i) capture.feed(chunk);
  capture.end();
  EXPECT_EQ(capture.kept().dropped_bytes, 1600U * chunk.size() - OutputCapture::kHead - OutputCapture::kTail);
  for (const std::string& line : lines_) EXPECT_LT(line.size(), 5000U);
  EXPECT_THAT(lines_, Not(IsEmpty()));
}

TEST_F(CaptureTest, NoCharacterIsCutInTwo) {
  OutputCapture capture = make();
  std::string text = "x";
  while (text.size() < 500'000) text += "\xe2\x82\xac";
  capture.feed(text);
  capture.end();
  EXPECT_THAT(capture.kept().text, Not(HasSubstr("\\x")));
  for (const std::string& line : lines_) EXPECT_THAT(line, Not(HasSubstr("\\x")));
}

TEST_F(CaptureTest, RandomBytesAreValidText) {
  std::mt19937 random(7);
  OutputCapture capture = make();
  std::string chunk(4096, '\0');
  for (int i = 0; i < 200; ++i) {
    for (char& byte : chunk) byte = static_cast<char>(random());
    capture.feed(chunk);
  }
  capture.end();
  const Json json = capture.kept().text;
  const auto parsed = parse_json(dump_json(json));
  ASSERT_TRUE(parsed) << parsed.error().text();
  EXPECT_EQ(*parsed, json);
  for (const char byte : capture.kept().text) {
    EXPECT_TRUE(static_cast<unsigned char>(byte) >= 0x20 || byte == '\n' || byte == '\t');
  }
}

TEST_F(CaptureTest, SecretsAreMaskedEverywhere) {
  OutputCapture capture = make({"hunter2"});
  capture.feed("password hun");
  capture.feed("ter2\nthe rest hunt");
  capture.end();
  EXPECT_EQ(capture.kept().text, "password ***\nthe rest hunt");
  EXPECT_THAT(lines_, ElementsAre("password ***", "the rest hunt"));
}

}  // namespace
}  // namespace hc
