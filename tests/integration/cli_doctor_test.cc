#include "tests/integration/node_in_folder.h"

// Each thing that can be wrong with a node's set-up is found, and comes with a way out.
namespace hc {
namespace {

using ::testing::HasSubstr;

class Doctor : public NodeInFolder {
 protected:
  // The finding of one check.
  static Json finding(const Json& said, const std::string& check) {
    for (const Json& one : said["checks"])
      if (one["check"] == check) return one;
    ADD_FAILURE() << "no check " << check << ": " << said;
    return Json::object();
  }
  void expect_bad(const std::string& check, const std::string& text) {
    const Json said = os_json({"doctor"}, 10);
    EXPECT_EQ(said["well"], false);
    const Json one = finding(said, check);
    EXPECT_EQ(one["state"], "bad") << one;
    EXPECT_THAT(one.value("text", ""), HasSubstr(text));
    EXPECT_NE(one.value("mend", ""), "") << one;
  }
};

TEST_F(Doctor, AGoodNodeIsWell) {
  init_with_remote();
  const Json said = os_json({"doctor"});
  EXPECT_EQ(said["well"], true) << said;
  EXPECT_EQ(finding(said, "os slot a")["state"], "ok");
}

TEST_F(Doctor, NoNodeAtAll) {
  put("node/file", "");
  expect_bad("node", "is no Honeycomb node");
}

TEST_F(Doctor, NoKey) {
  init_with_remote();
  run({"sh", "-c", "rm -f node/ostree/slots/a/etc/honeycomb/trust.d/*"});
  expect_bad("trust keys", "no key is trusted");
}

TEST_F(Doctor, AChangedFileInASlot) {
  init_with_remote();
  run({"sh", "-c",
       "f=node/ostree/slots/a/usr/share/file1; cp $f x; chattr -i $f 2>/dev/null; rm -f $f; echo y >>x; mv x $f"});
  expect_bad("os slot a", "file1");
}

TEST_F(Doctor, NoBootloader) {
  init_with_remote();
  run({"rm", "-rf", "node/boot/grub"});
  expect_bad("boot wiring", "there is no GRUB here");
}

TEST_F(Doctor, AClockBeforeTheHistory) {
  build("2.0", 2);
  init_with_remote();
  os_json({"deploy", "2.0"});
  os_json({"rollback"}, 130);
  run({"sh", "-c",
       "sed -i 's/\"ended_at\": [1-9][0-9]*/\"ended_at\": 9000000000/' "
       "node/ostree/deploy/honeycomb/var/lib/honeycomb/history/*.json"});
  expect_bad("clock", "a transaction ended at");
}

}  // namespace
}  // namespace hc
