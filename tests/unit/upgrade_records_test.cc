#include <gmock/gmock.h>
#include <stdlib.h>

#include "engine/base/file.h"
#include "engine/upgrade/history.h"
#include "engine/upgrade/records.h"

namespace hc {
namespace {

using ::testing::HasSubstr;

class RecordsTest : public ::testing::Test {
 protected:
  RecordsTest() {
    std::string pattern = fs::temp_directory_path() / "hc-records-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
  }
  ~RecordsTest() override { static_cast<void>(remove_tree(dir_)); }

  Json read(const std::string& name) {
    auto json = RecordDir(dir_).read(name);
    EXPECT_TRUE(json) << json.error().text();
    return json && *json ? **json : Json(nullptr);
  }
  void write(const std::string& name, const Json& json) {
    const Status written = RecordDir(dir_).write(name, json);
    ASSERT_TRUE(written) << written.error().text();
  }
  std::size_t set_aside() {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(dir_))
      count += entry.path().string().find(".bad-") != std::string::npos;
    return count;
  }

  fs::path dir_;
};

TEST_F(RecordsTest, WhatIsWrittenIsRead) {
  EXPECT_EQ(read("transaction"), Json(nullptr));
  write("transaction", {{"id", 7}});
  EXPECT_EQ(read("transaction"), Json({{"id", 7}}));
  write("history/00000001", {{"id", 1}});
  EXPECT_THAT(RecordDir(dir_).list("history").value(), ::testing::ElementsAre("history/00000001"));
  ASSERT_TRUE(RecordDir(dir_).remove("transaction"));
  EXPECT_EQ(read("transaction"), Json(nullptr));
  EXPECT_TRUE(RecordDir(dir_).remove("transaction")) << "removing twice is no error";
}

// CASES.md PW-4: whatever a power cut, a bad disk or a person left in the file's place, the last good state is used and
// the damaged one is kept.
TEST_F(RecordsTest, DamageIsSetAsideAndTheLastGoodCopyUsed) {
  const fs::path file = dir_ / "transaction.json";
  const std::vector<std::function<void(const std::string&)>> damages = {
      [&](const std::string&) { ASSERT_TRUE(write_atomically(file, "")); },
      [&](const std::string& good) { ASSERT_TRUE(write_atomically(file, good.substr(0, good.size() / 2))); },
      [&](const std::string& good) { ASSERT_TRUE(write_atomically(file, good + std::string(4096, '\0'))); },
      [&](const std::string& good) { ASSERT_TRUE(write_atomically(file, good + good)); },
      [&](const std::string&) { ASSERT_TRUE(write_atomically(file, "[]")); },
      [&](const std::string&) {
        fs::remove(file);
        fs::create_directory(file);
      },
  };
  for (const auto& damage : damages) {
    write("transaction", {{"id", 1}, {"step", "fetch"}});
    write("transaction", {{"id", 1}, {"step", "stage"}});
    damage(read_file(file).value());
    const Json recovered = read("transaction");
    EXPECT_EQ(recovered.value("step", ""), "fetch");
    EXPECT_EQ(recovered.value("recovered", false), true);
    EXPECT_EQ(set_aside(), 1U);
    ASSERT_TRUE(remove_tree(dir_));
    fs::create_directory(dir_);
  }
}

TEST_F(RecordsTest, DamageWithoutACopyIsNoRecord) {
  ASSERT_TRUE(write_atomically(dir_ / "transaction.json", "{\"id\": 1"));
  EXPECT_EQ(read("transaction"), Json(nullptr));
  EXPECT_EQ(set_aside(), 1U);
}

Transaction full_transaction() {
  Transaction t;
  t.id = 12;
  t.target = *Target::parse("ptz-camera");
  t.requested = "2.4.0";
  t.requested_by = "root";
  t.requested_at = 1'790'000'000;
  t.url = "https://example.org/repo";
  t.again = true;
  t.from = {Slot::a, std::string(64, 'a'), "2.3.0", 11};
  t.to = {Slot::b, std::string(64, 'b'), "2.4.0", 12};
  t.replaced = "x.0";
  t.manifest = {{"version", "2.4.0"}};
  t.direction = Direction::undo;
  t.step = "stage";
  t.entries = 2;
  t.boot_id = "boot";
  t.failure = Failure{"install", Code::hook_failed, "it said no", "look"};
  t.outcome = Outcome::failed;
  t.ended_at = 1'790'000'009;
  t.steps = {{"verify", "run", "ok", 1, 20, ""}, {"install", "run", "failed", 2, 30, "it said no"}};
  t.hooks = Json::array({{{"hook", "hc_install_upgrade.sh"}}});
  t.health = {{"healthy", true}};
  t.passed_before = {"wanted/10-app"};
  t.notes = {"a note"};
  return t;
}

TEST(TransactionJson, EverythingSurvivesTheJournal) {
  const Json json = to_json(full_transaction());
  const auto read_back = transaction_from(json);
  ASSERT_TRUE(read_back) << read_back.error().text();
  EXPECT_EQ(to_json(*read_back), json);
  EXPECT_EQ(read_back->failure->code, Code::hook_failed);
  EXPECT_EQ(read_back->replaced, "x.0");
}

TEST(TransactionJson, WhatANewerEngineWroteIsKept) {
  Json json = to_json(full_transaction());
  json["format"] = 9;
  json["from_the_future"] = {{"deep", Json::array({1, 2})}};
  json["to"]["colour"] = "blue";
  json["outcome"] = "an-outcome-of-tomorrow";
  const auto read_back = transaction_from(json);
  ASSERT_TRUE(read_back) << read_back.error().text();
  EXPECT_EQ(to_json(*read_back)["from_the_future"], json["from_the_future"]);
  EXPECT_FALSE(read_back->outcome);
}

TEST(TransactionJson, WhatAnEngineCannotGoOnWithoutIsNamed) {
  for (const char* key : {"id", "kind", "direction", "target"}) {
    Json json = to_json(full_transaction());
    json.erase(key);
    const auto read_back = transaction_from(json);
    ASSERT_FALSE(read_back) << key;
    if (std::string(key) != "target") {
      EXPECT_THAT(read_back.error().text(), HasSubstr(key));
    }
  }
  EXPECT_FALSE(transaction_from(Json::array()));
}

TEST_F(RecordsTest, HistoryCountsOnAndPassesOverDamage) {
  RecordDir records(dir_);
  const History history(records);
  EXPECT_EQ(history.next_id(std::nullopt).value(), 1U);
  Transaction t = full_transaction();
  for (const std::uint64_t id : {1U, 2U, 3U}) {
    t.id = id;
    ASSERT_TRUE(History(records).put(t));
  }
  ASSERT_TRUE(write_atomically(dir_ / "history/00000002.json", "not JSON"));
  EXPECT_EQ(history.all().value().size(), 2U);
  EXPECT_EQ(history.next_id(std::nullopt).value(), 4U);
  EXPECT_EQ(history.find(3).value()->id, 3U);
  EXPECT_FALSE(history.find(9).value());
}

TEST(HistoryQuestions, SequenceFloorAndFailures) {
  const Target os = Target::os();
  const auto make = [&](std::uint64_t sequence, char commit, Outcome outcome, std::optional<Code> failure) {
    Transaction t;
    t.target = os;
    t.to = {Slot::b, std::string(64, commit), "v", sequence};
    t.outcome = outcome;
    if (failure) t.failure = Failure{"health", *failure, "why", ""};
    return t;
  };
  const Commit a = *Commit::parse(std::string(64, 'a'));
  const Commit b = *Commit::parse(std::string(64, 'b'));
  const Commit c = *Commit::parse(std::string(64, 'c'));
  const std::vector<Transaction> history = {
      make(3, 'a', Outcome::confirmed, {}),
      make(9, 'b', Outcome::rolled_back, Code::unhealthy),
      make(5, 'c', Outcome::failed, Code::no_space),
      make(2, 'd', Outcome::confirmed, {}),
  };
  EXPECT_EQ(newest_confirmed_sequence(history, os), 3U) << "only what was confirmed counts, and the floor never sinks";
  EXPECT_TRUE(was_confirmed(history, os, a));
  EXPECT_FALSE(was_confirmed(history, os, b));
  EXPECT_NE(last_own_failure(history, os, b), nullptr);
  EXPECT_EQ(last_own_failure(history, os, c), nullptr) << "a full disk is not the payload's fault";
  EXPECT_EQ(last_own_failure(history, *Target::parse("camera"), b), nullptr);
}

}  // namespace
}  // namespace hc
