#include <gmock/gmock.h>

#include <string>

#include "bootloader/grubenv.h"

namespace hc {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kSignature = "# GRUB Environment Block\n";

std::string block(const std::string& lines) {
  std::string text = kSignature + lines;
  text.resize(GrubEnv::kSize, '#');
  return text;
}

TEST(GrubEnv, ReadsWhatGrubEditenvWrites) {
  const GrubEnv env = GrubEnv::parse(block("saved_entry=gnu\nhc_good=b\n"));
  EXPECT_THAT(env.faults(), IsEmpty());
  EXPECT_EQ(env.get("saved_entry"), "gnu");
  EXPECT_EQ(env.get("hc_good"), "b");
  EXPECT_EQ(env.get("hc_try"), std::nullopt);
}

TEST(GrubEnv, EmptyBlockIsSound) { EXPECT_THAT(GrubEnv::parse(block("")).faults(), IsEmpty()); }

TEST(GrubEnv, ABlockWithoutPaddingIsSound) {
  const std::string full = block("filler=" + std::string(GrubEnv::kSize - kSignature.size() - 8, 'x') + "\n");
  ASSERT_EQ(full.back(), '\n');
  EXPECT_THAT(GrubEnv::parse(full).faults(), IsEmpty());
  EXPECT_EQ(GrubEnv::parse(full).serialise().value(), full);
}

TEST(GrubEnv, OursComeFirstAndForeignLinesStayAsTheyAre) {
  GrubEnv env = GrubEnv::parse(block("# WARNING: no editor\nsaved_entry=a\\\\b\\\nc\nhc_zz=1\nlast=\n"));
  ASSERT_THAT(env.faults(), IsEmpty());
  EXPECT_EQ(env.get("saved_entry"), "a\\b\nc");
  env.set("hc_good", "a");
  EXPECT_EQ(env.serialise().value(),
            block("hc_good=a\nhc_zz=1\n# WARNING: no editor\nsaved_entry=a\\\\b\\\nc\nlast=\n"));
}

TEST(GrubEnv, SerialisingIsDeterministicWhateverTheOrder) {
  GrubEnv one;
  one.set("hc_try", "b");
  one.set("hc_good", "a");
  GrubEnv two;
  two.set("hc_good", "x");
  two.set("hc_try", "b");
  two.set("hc_good", "a");
  EXPECT_EQ(one.serialise().value(), two.serialise().value());
}

TEST(GrubEnv, OurOwnValuesAreEscapedToo) {
  GrubEnv env;
  env.set("hc_note", "back\\slash\nnewline");
  const GrubEnv again = GrubEnv::parse(env.serialise().value());
  EXPECT_THAT(again.faults(), IsEmpty());
  EXPECT_EQ(again.get("hc_note"), "back\\slash\nnewline");
}

TEST(GrubEnv, AChangeOfTheSwitchIsAChangeOfTheFirstSectorAlone) {
  GrubEnv env = GrubEnv::parse(block("saved_entry=" + std::string(600, 'x') + "\nhc_good=a\nhc_try=-\nhc_tries=0\n"));
  const std::string before = env.serialise().value();
  env.set("hc_try", "b");
  env.set("hc_tries", "3");
  const std::string after = env.serialise().value();
  EXPECT_NE(before, after);
  EXPECT_EQ(before.substr(GrubEnv::kSector), after.substr(GrubEnv::kSector));
}

TEST(GrubEnv, TheLastOfTwoValuesCounts) {
  const GrubEnv env = GrubEnv::parse(block("hc_good=a\nx=1\nhc_good=b\nx=2\n"));
  EXPECT_EQ(env.get("hc_good"), "b");
  EXPECT_EQ(env.get("x"), "2");
}

TEST(GrubEnv, RefusesWhatDoesNotFit) {
  GrubEnv env = GrubEnv::parse(block("filler=" + std::string(GrubEnv::kSize - kSignature.size() - 8, 'x') + "\n"));
  env.set("hc_good", "a");
  const Result<std::string> full = env.serialise();
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code(), Code::no_space);
  EXPECT_THAT(full.error().text(), HasSubstr("1034 of 1024"));
}

struct Odd {
  const char* what;
  std::string bytes;
  const char* fault;
  bool keeps_good;
};

class OddBlocks : public testing::TestWithParam<Odd> {};

TEST_P(OddBlocks, AreNamedAndRebuiltWithWhatIsReadable) {
  GrubEnv env = GrubEnv::parse(GetParam().bytes);
  EXPECT_THAT(env.faults(), Contains(HasSubstr(GetParam().fault)));
  EXPECT_EQ(env.get("hc_good").has_value(), GetParam().keeps_good);
  const std::string rebuilt = env.serialise().value();
  EXPECT_EQ(rebuilt.size(), GrubEnv::kSize);
  EXPECT_THAT(GrubEnv::parse(rebuilt).faults(), IsEmpty());
  EXPECT_EQ(GrubEnv::parse(rebuilt).get("hc_good"), env.get("hc_good"));
}

INSTANTIATE_TEST_SUITE_P(
    GrubEnv, OddBlocks,
    testing::Values(Odd{"newline after the block", block("hc_good=b\n") + "\n", "1025 bytes", true},
                    Odd{"newline after padding", block("hc_good=b\n") + "\n", "newline after the padding", true},
                    Odd{"cut in the padding", block("hc_good=b\n").substr(0, 1000), "1000 bytes", true},
                    Odd{"cut in a value", kSignature + "hc_good=b\nother=half", "cut off", true},
                    Odd{"cut in ours", kSignature + "other=1\nhc_good=", "cut off", false},
                    Odd{"zeros", std::string(GrubEnv::kSize, '\0'), "signature", false},
                    Odd{"empty", "", "0 bytes", false},
                    Odd{"no signature", "hc_good=b\n" + std::string(1014, '#'), "signature", true},
                    Odd{"edited by hand", block("hc_good=b\n\nhello\n=x\n"), "is empty", true},
                    Odd{"no name", block("hc_good=b\n=x\n"), "no name", true},
                    Odd{"no equals", block("hc_good=b\nhello\n"), "`name=value`", true},
                    Odd{"zeros in a line", block("hc_good=b\nx=" + std::string(3, '\0') + "\n"), "zero bytes", true}),
    [](const auto& test) {
      std::string name;
      for (const char c : std::string(test.param.what)) name += c == ' ' ? '_' : c;
      return name;
    });

TEST(GrubEnv, NamesThatOnlyLookLikeOursStayForeign) {
  const GrubEnv env = GrubEnv::parse(block("hc_x\\\\y=1\nhc_B=2\n"));
  EXPECT_THAT(env.faults(), IsEmpty());
  EXPECT_EQ(env.serialise().value(), block("hc_x\\\\y=1\nhc_B=2\n"));
}

}  // namespace
}  // namespace hc
