#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

#include "engine/upgrade/inhibit.h"
#include "engine/upgrade/windows.h"

namespace hc {
namespace {

class InZone : public ::testing::Test {
 protected:
  InZone() { zone("UTC"); }
  ~InZone() override { zone("UTC"); }
  static void zone(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  static std::int64_t seconds(const char* windows, std::int64_t wall) {
    return Windows::parse(windows).value().seconds_to_open(wall);
  }
  static constexpr std::int64_t kSunday = 1'764'460'800;  // midnight of a Sunday (2025-11-30) in UTC
  static constexpr std::int64_t kHour = 3600;
};

TEST_F(InZone, NoSpanIsAnyTime) { EXPECT_EQ(seconds("", 12345), 0); }

TEST_F(InZone, DaysAndHours) {
  const std::int64_t sunday = kSunday;
  const std::int64_t monday = sunday + 24 * kHour;
  EXPECT_EQ(seconds("Mon-Fri 02:00-05:00", sunday), 26 * kHour);
  EXPECT_EQ(seconds("Mon-Fri 02:00-05:00", monday + 2 * kHour), 0);
  EXPECT_EQ(seconds("Mon-Fri 02:00-05:00", monday + 5 * kHour), 21 * kHour);
  EXPECT_EQ(seconds("Sat,Sun 00:00-24:00", sunday + 23 * kHour), 0);
  EXPECT_EQ(seconds("Sat,Sun 00:00-24:00", monday), 5 * 24 * kHour);
  EXPECT_EQ(seconds("03:00-04:00", monday), 3 * kHour);
  EXPECT_EQ(seconds("03:00-04:00; 01:00-01:30", monday), 1 * kHour);
}

TEST_F(InZone, OverMidnightBelongsToTheDayItBegins) {
  const std::int64_t monday = kSunday + 24 * kHour;
  EXPECT_EQ(seconds("Sun 22:00-04:00", monday + 3 * kHour), 0);
  EXPECT_NE(seconds("Mon 22:00-04:00", monday + 3 * kHour), 0);
}

TEST_F(InZone, LocalTimeAlsoWhenTheClocksAreSet) {
  zone("CET-1CEST,M3.5.0,M10.5.0/3");
  // 2026-03-29: 02:00 does not exist there; 03:00 CEST is 01:00 UTC.
  const std::int64_t midnight = 1'774'738'800;  // 2026-03-29T00:00 CET
  EXPECT_EQ(seconds("03:00-04:00", midnight), 2 * kHour) << "one hour less than on other days";
}

TEST_F(InZone, WrongTextsAreRefused) {
  for (const char* text : {"Mon", "25:00-26:00", "02:00", "02:00-02:00", "Mo 02:00-03:00", "Mon-Fri02:00-03:00",
                           "2:00-3:00", "Mon- 02:00-03:00", "02:60-03:00", "always"})
    EXPECT_FALSE(Windows::parse(text)) << text;
}

TEST(Inhibit, HoldsUntilItsHolderEnds) {
  std::string pattern = (fs::temp_directory_path() / "hc-inhibit-XXXXXX").string();
  const fs::path state = ::mkdtemp(pattern.data());
  const Inhibitors inhibitors(state);
  EXPECT_TRUE(inhibitors.check());
  const pid_t holder = ::fork();
  if (holder == 0) {
    const auto held = Inhibitors(state).hold("measuring", "ann");
    ::pause();
    _exit(held ? 0 : 1);
  }
  Status check = inhibitors.check();
  for (int i = 0; i < 500 && check; ++i) {
    ::usleep(10'000);
    check = inhibitors.check();
  }
  ASSERT_FALSE(check);
  for (int i = 0; i < 500 && check.error().text().find("measuring") == std::string::npos; ++i) {
    ::usleep(10'000);
    check = inhibitors.check();
  }
  EXPECT_EQ(check.error().code(), Code::busy);
  EXPECT_NE(check.error().text().find("measuring (ann, pid " + std::to_string(holder)), std::string::npos)
      << check.error().text();
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  EXPECT_TRUE(inhibitors.check()) << "a dead holder holds nothing";
  EXPECT_TRUE(remove_tree(state));
}

}  // namespace
}  // namespace hc
