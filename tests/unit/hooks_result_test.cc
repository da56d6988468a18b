#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "hooks/hook.h"
#include "hooks/insight/message.h"

namespace hc {
namespace {

using ::testing::HasSubstr;

HookResult full_result() {
  HookResult result;
  result.end = HookEnd::killed;
  result.exit_code = 3;
  result.signal = 11;
  result.reason = "hc_install_upgrade.sh was killed";
  result.attempts = 4;
  result.duration_ms = 1234;
  result.output = "line\n";
  result.dropped_bytes = 1ULL << 40;
  result.insight = {{Insight::Kind::progress, "", "zooming", 40, 10},
                    {Insight::Kind::metric, "pan", "", -12.5, 20},
                    {Insight::Kind::state, "firmware", "1.2", 0, 30},
                    {Insight::Kind::log, "warn", "slow", 0, 40}};
  result.leftovers = {"sleep 600 (pid 4711)"};
  return result;
}

TEST(HookResultTest, JsonThereAndBack) {
  const Json json = to_json(full_result());
  const auto back = hook_result_from_json(json);
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(to_json(*back), json);
  EXPECT_EQ(back->end, HookEnd::killed);
  EXPECT_EQ(back->dropped_bytes, 1ULL << 40);
  EXPECT_EQ(back->insight.at(1).number, -12.5);
  EXPECT_EQ(json["end"], "killed");
  EXPECT_EQ(json["insight"][2]["kind"], "state");
}

TEST(HookResultTest, ANewerEngineMayHaveWrittenMore) {
  const auto result = hook_result_from_json(Json{{"end", "teleported"}, {"new", 1}, {"exit_code", 5}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->end, HookEnd::could_not_run);
  EXPECT_FALSE(result->passed());
  EXPECT_EQ(result->exit_code, 5);
}

TEST(HookResultTest, WrongTypesAreRefused) {
  const Json good = to_json(full_result());
  for (const auto& [key, value] : good.items()) {
    Json json = good;
    json[key] = Json::object();
    const auto result = hook_result_from_json(json);
    ASSERT_FALSE(result) << key;
    EXPECT_THAT(result.error().text(), HasSubstr(key));
  }
  EXPECT_FALSE(hook_result_from_json(Json::array()));
  EXPECT_FALSE(hook_result_from_json(Json{{"exit_code", 1LL << 40}}));
  EXPECT_FALSE(hook_result_from_json(Json{{"dropped_bytes", -1}}));
  EXPECT_FALSE(hook_result_from_json(Json{{"duration_ms", 1ULL << 63}}));
}

TEST(InsightMessageTest, ThereAndBack) {
  const InsightMessage message{"metric", "pan_degrees", -12.25, "text"};
  const std::string bytes = encode(message);
  const auto back = decode(bytes);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->kind, "metric");
  EXPECT_EQ(back->name, "pan_degrees");
  EXPECT_EQ(back->number, -12.25);
  EXPECT_EQ(back->text, "text");
}

TEST(InsightMessageTest, OnlyValidMessagesAreTaken) {
  const auto bytes = [](std::string text) {
    for (char& c : text) c = c == '|' ? '\0' : c;
    return text;
  };
  EXPECT_TRUE(decode(bytes("progress||40|zooming")));
  EXPECT_TRUE(decode(bytes("log|warn||text|with|more")));
  for (const char* bad : {"", "log", "log|warn|", "log|loud||text", "progress|||", "progress||101|", "progress||-1|",
                          "progress||nan|", "metric|a b|1|", "metric|x||", "metric||1|", "metric|x|1e999|",
                          "metric|x|inf|", "metric|x|1,5|", "state||||", "state|1x||v", "other|x||v"}) {
    EXPECT_FALSE(decode(bytes(bad))) << bad;
  }
  EXPECT_FALSE(decode(bytes("log|warn||" + std::string(kLongestInsightText + 1, 'x'))));
  EXPECT_FALSE(decode(std::string(kLongestMessage + 1, 'x')));
}

TEST(InsightMessageTest, NumbersKeepTheirValue) {
  for (const double number : {0.0, -0.1, 1e-300, 1.7976931348623157e308, 12345678901234567.0}) {
    const std::string bytes = encode({"metric", "x", number, ""});
    ASSERT_TRUE(decode(bytes)) << number;
    EXPECT_EQ(decode(bytes)->number, number);
  }
}

}  // namespace
}  // namespace hc
