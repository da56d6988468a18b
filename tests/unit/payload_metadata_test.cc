#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/payload/metadata.h"

namespace hc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

// metadata.json with the required keys, and `more` members after them.
std::string file_with(const std::string& more = "") {
  return "{\n  \"peripheral_name\": \"ptz-camera\",\n  \"config_version\": \"1.2.0\",\n  \"retry_state_check\": 0,\n"
         "  \"retry_install\": 2,\n  \"retry_verify\": -1" +
         (more.empty() ? "" : ",\n  " + more) + "\n}\n";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  text.replace(text.find(from), from.size(), to);
  return text;
}

std::string refusal(const std::string& text) {
  const auto metadata = parse_metadata(text);
  if (metadata) return "accepted";
  EXPECT_EQ(metadata.error().code(), Code::invalid);
  return metadata.error().text();
}

TEST(Metadata, RequiredKeysAreEnough) {
  const auto metadata = parse_metadata(file_with());
  ASSERT_TRUE(metadata) << metadata.error().text();
  EXPECT_EQ(metadata->peripheral_name, "ptz-camera");
  EXPECT_EQ(metadata->target.name(), "ptz-camera");
  EXPECT_EQ(metadata->config_version.text(), "1.2.0");
  EXPECT_EQ(metadata->upgrade_name, "ptz-camera-1.2.0");
  EXPECT_EQ(metadata->retry_state_check, 0);
  EXPECT_EQ(metadata->retry_install, 2);
  EXPECT_EQ(metadata->retry_verify, -1);
  EXPECT_EQ(metadata->timeout_install_s, 600);
  EXPECT_EQ(metadata->network, PeripheralMetadata::Network::open);
  EXPECT_FALSE(metadata->reboot);
}

TEST(Metadata, EveryOptionalKeyIsRead) {
  const auto metadata = parse_metadata(file_with(R"("upgrade_name": "Zoom fix", "description": "a\nb",
    "timeout_state_check_s": 1, "timeout_install_s": 86400, "timeout_verify_s": 30, "compatible": ["wsn-*"],
    "requires": {"os": "2.0"}, "reboot": true, "devices": ["/dev/ttyUSB0"], "network": ["camera.local", "10.0.0.2"],
    "user": "camera", "snapshot": ["/var/lib/camera"])"));
  ASSERT_TRUE(metadata) << metadata.error().text();
  EXPECT_EQ(metadata->upgrade_name, "Zoom fix");
  EXPECT_EQ(metadata->description, "a\nb");
  EXPECT_EQ(metadata->timeout_state_check_s, 1);
  EXPECT_EQ(metadata->timeout_install_s, 86400);
  EXPECT_EQ(metadata->timeout_verify_s, 30);
  EXPECT_THAT(metadata->compatible, ElementsAre("wsn-*"));
  EXPECT_EQ(metadata->requires_versions.at("os"), "2.0");
  EXPECT_TRUE(metadata->reboot);
  EXPECT_THAT(metadata->devices, Optional(ElementsAre("/dev/ttyUSB0")));
  EXPECT_EQ(metadata->network, PeripheralMetadata::Network::hosts);
  EXPECT_THAT(metadata->hosts, ElementsAre("camera.local", "10.0.0.2"));
  EXPECT_EQ(metadata->user, "camera");
  EXPECT_THAT(metadata->snapshot, ElementsAre("/var/lib/camera"));
}

TEST(Metadata, NetworkMayBeAWord) {
  EXPECT_EQ(parse_metadata(file_with(R"("network": "none")"))->network, PeripheralMetadata::Network::none);
  EXPECT_EQ(parse_metadata(file_with(R"("network": "loopback")"))->network, PeripheralMetadata::Network::loopback);
}

TEST(Metadata, FilesOfTheOriginalStayReadable) {
  const auto metadata = parse_metadata(R"({"upgrade_name": "SWITCH-1", "peripheral_name": "Vendor Edge Switch",
    "config_version": "1.0.1", "retry_state_check": 5, "retry_install": 5, "retry_verify": 5,
    "force_install": false, "config_file": "new-cfg"})");
  ASSERT_TRUE(metadata) << metadata.error().text();
  EXPECT_EQ(metadata->peripheral_name, "Vendor Edge Switch");
  EXPECT_EQ(metadata->target.name(), "vendor-edge-switch");
  EXPECT_EQ(metadata->upgrade_name, "SWITCH-1");
}

TEST(Metadata, EachRequiredKeyIsMissed) {
  for (const char* key : {"peripheral_name", "config_version", "retry_state_check", "retry_install", "retry_verify"}) {
    EXPECT_EQ(refusal(replaced(file_with(), key, "description")), "the key `" + std::string(key) + "` is missing");
  }
}

TEST(Metadata, UnknownKeyIsNamedWithItsPlace) {
  EXPECT_EQ(refusal(file_with("\"retry_instal\": 3")),
            "line 7, column 3 (byte 138): `retry_instal` is not a known key");
}

TEST(Metadata, NumbersAreStrict) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"\"3\"", "not a value of type string"},
      {"2.5", "not the number 2.5"},
      {"3.0", "not the number 3.0"},
      {"true", "not a value of type boolean"},
      {"null", "type null"},
      {"-2", "not -2"},
      {"1001", "not 1001"},
      {"9223372036854775807", "not"},
      {"9223372036854775808", "not"},
      {"18446744073709551615", "not"},
      {"1e400", "out of range"},
      {"1e3", "not the number 1000.0"},
  };
  for (const auto& [value, words] : cases) {
    const std::string text = replaced(file_with(), "\"retry_install\": 2", "\"retry_install\": " + value);
    EXPECT_THAT(refusal(text), HasSubstr(words)) << value;
    EXPECT_THAT(refusal(text), HasSubstr("line 5, column ")) << value;
  }
  EXPECT_THAT(refusal(file_with("\"timeout_install_s\": 0")), HasSubstr("from 1 to 86400, not 0"));
  EXPECT_THAT(refusal(file_with("\"timeout_verify_s\": 86401")), HasSubstr("from 1 to 86400, not 86401"));
}

TEST(Metadata, NamesAreNeverPaths) {
  for (const char* name :
       {"../x", "a/b", "a\\u0000b", "a\\nb", "", ".", "..", " x", "-x", "a\\\\b", "os", "OS", "caf\\u00e9"}) {
    const std::string text = replaced(file_with(), "\"ptz-camera\"", "\"" + std::string(name) + "\"");
    EXPECT_THAT(refusal(text), HasSubstr("line 2, column ")) << name;
  }
}

TEST(Metadata, StringsAreStrict) {
  EXPECT_THAT(refusal(replaced(file_with(), "\"1.2.0\"", "1.2")), HasSubstr("`config_version` must be a string"));
  EXPECT_THAT(refusal(replaced(file_with(), "\"1.2.0\"", "\"1 2\"")), HasSubstr("`config_version` is wrong"));
  EXPECT_THAT(refusal(file_with("\"upgrade_name\": \"a\\nb\"")), HasSubstr("one line"));
  EXPECT_THAT(refusal(file_with("\"description\": \"\\u001b[2J\"")), HasSubstr("control characters"));
  EXPECT_THAT(refusal(file_with("\"reboot\": \"yes\"")), HasSubstr("`reboot` must be true or false"));
  EXPECT_THAT(refusal(file_with("\"user\": \"a b\"")), HasSubstr("no user's name"));
  EXPECT_THAT(refusal(file_with("\"user\": \"-x\"")), HasSubstr("no user's name"));
  EXPECT_THAT(refusal(file_with("\"user\": \"\"")), HasSubstr("one line"));
}

TEST(Metadata, ListsAreStrict) {
  for (const char* member :
       {"\"compatible\": \"wsn\"", "\"compatible\": [1]", "\"compatible\": [\"\"]", "\"requires\": []",
        "\"requires\": {\"../x\": \"1\"}", "\"requires\": {\"os\": 2}", "\"requires\": {\"os\": \"\"}",
        "\"network\": []", "\"network\": \"all\"", "\"network\": [\"a b\"]", "\"network\": [\"-x\"]",
        "\"network\": [\"a-\"]", "\"network\": true", "\"devices\": [\"/etc/shadow\"]",
        "\"devices\": [\"/dev/../etc\"]", "\"devices\": [\"/dev\"]"})
    EXPECT_THAT(refusal(file_with(member)), HasSubstr("line 7, column 3 (byte 138): ")) << member;
}

TEST(Metadata, SnapshotsStayBelowVarAndOutOfTheEnginesState) {
  for (const char* path : {"/etc/x", "/var", "/var/", "var/x", "/var/../etc", "/var/lib/./x", "/var//x", "/var/x/",
                           "/var/lib", "/var/lib/honeycomb", "/var/lib/honeycomb/queue", "/variable/x", "/var/x\\n"})
    EXPECT_THAT(refusal(file_with("\"snapshot\": [\"" + std::string(path) + "\"]")), HasSubstr("`snapshot` holds"))
        << path;
  EXPECT_EQ(refusal(file_with("\"snapshot\": [\"/var/lib/honeycomb-camera\"]")), "accepted");
}

TEST(Metadata, NoObjectIsRefused) {
  for (const char* text : {"[]", "1", "\"x\"", "null"}) EXPECT_THAT(refusal(text), HasSubstr("an object is wanted"));
  EXPECT_THAT(refusal(""), HasSubstr("byte 0"));
  EXPECT_THAT(refusal(std::string(1 << 20, ' ')), HasSubstr("at most"));
}

}  // namespace
}  // namespace hc
