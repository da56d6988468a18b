#include <gmock/gmock.h>

#include "engine/store/kernel_arguments.h"

namespace hc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

KernelArguments split_ok(std::string_view line) {
  const Result<KernelArguments> result = split_arguments(line);
  EXPECT_TRUE(result) << line;
  return result ? *result : KernelArguments();
}

TEST(KernelArguments, QuotesKeepBlanks) {
  EXPECT_THAT(split_ok("  root=LABEL=x\tquiet  "), ElementsAre("root=LABEL=x", "quiet"));
  EXPECT_THAT(split_ok("a=\"x  y\" b \"c d\"=e"), ElementsAre("a=\"x  y\"", "b", "\"c d\"=e"));
  EXPECT_THAT(split_ok(""), IsEmpty());
}

TEST(KernelArguments, RefusesWhatCannotBeOneLine) {
  for (const char* line : {"a=\"x", "a\nb", "a\x01", "\x7f"})
    EXPECT_EQ(split_arguments(line).error().code(), Code::invalid) << line;
}

TEST(KernelArguments, JoinIsTheOtherWayRound) {
  const std::string line = "a=1 b=\"x y\" a=2";
  EXPECT_EQ(join_arguments(split_ok(line)), line);
}

TEST(KernelArguments, DefaultsAreLinesWithComments) {
  const Result<KernelArguments> defaults = parse_default_arguments("# why\nquiet\n\n  console=ttyS0 loglevel=3 \n#x=1");
  ASSERT_TRUE(defaults);
  EXPECT_THAT(*defaults, ElementsAre("quiet", "console=ttyS0", "loglevel=3"));
  EXPECT_FALSE(parse_default_arguments("a=\"x"));
}

TEST(KernelArguments, OwnIsWhatNoDefaultExplains) {
  const KernelArguments all = {
      "quiet", "root=x", "quiet", "a=1", "ostree=/ostree/boot.0/x", "init=/ostree/boot.0/y", "init=/sbin/init"};
  EXPECT_THAT(own_arguments(all, {"quiet", "gone=1"}), ElementsAre("root=x", "quiet", "a=1", "init=/sbin/init"));
}

}  // namespace
}  // namespace hc
