#include <gmock/gmock.h>

#include "tests/integration/service_daemon.h"

// The first Honeycomb's way to upgrade a peripheral, word for word: build a payload with the tool, put it into the
// upgrades directory, ask for it with one curl, watch the job.
namespace hc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PayloadFiles : public ServiceDaemon {
 protected:
  void SetUp() override {
    ServiceDaemon::SetUp();
    ASSERT_TRUE(make_dirs(upgrades()));
  }
  fs::path upgrades() const { return state() / "upgrades"; }

  // An archive of the original form, NAME.tar.gz, with a checksum for every file.
  void make_archive(const std::string& version, const std::string& name = "camera.tar.gz") {
    make_peripheral_tree("archive-" + version, version);
    const CommandResult made =
        run({"sh", "-c",
             "cd archive-" + version + " && find . -type f ! -name md5sum.chk -exec md5sum {} + " +
                 "> md5sum.chk && tar -czf ../" + name + " ."});
    ASSERT_EQ(made.status, 0) << made.errors;
  }
  void sign_archive(int sequence, const std::string& name = "camera.tar.gz") {
    const CommandResult made =
        hc({"sign-archive", name, "--sequence", std::to_string(sequence), "--key", "release.key"});
    ASSERT_EQ(made.status, 0) << made.errors;
  }
  void put_into_upgrades(const std::string& name) { fs::copy(dir_ / name, upgrades() / name); }

  // The one curl. The job, when it has ended.
  Job ask_for(const std::string& name) {
    const Json answer = json_of(curl_tcp("/queue-upgrade?filename=" + name));
    if (!answer.contains("job")) {
      ADD_FAILURE() << answer.dump(2);
      return Job();
    }
    const CommandResult watched = curl_tcp(answer["events"].get<std::string>());
    EXPECT_THAT(watched.output, HasSubstr("event: job"));
    return job(answer["job"].get<std::uint64_t>());
  }
  static std::string error_of(const Job& job) { return job.error ? job.error->text() : ""; }
};

TEST_F(PayloadFiles, AnArchiveOfTheFirstHoneycomb) {
  make_archive("3.0");
  sign_archive(3);
  put_into_upgrades("camera.tar.gz");
  put_into_upgrades("camera.tar.gz.sig");
  const Job done = ask_for("camera.tar.gz");
  EXPECT_EQ(done.state, JobState::done) << error_of(done);
  const Json history = os_json({"history", "--target", kCamera})["transactions"];
  ASSERT_EQ(history.size(), 1U) << history.dump(2);
  EXPECT_EQ(history[0]["outcome"], "confirmed");
  EXPECT_EQ(history[0]["to"]["version"], "3.0");
  EXPECT_FALSE(fs::exists(state() / "unpack")) << "nothing of it stays beside the repository";
}

TEST_F(PayloadFiles, ABundle) {
  const CommandResult made = hc({"bundle", "repo", "ptz-camera/2.0", "--out", "camera.hcb"});
  ASSERT_EQ(made.status, 0) << made.errors;
  put_into_upgrades("camera.hcb");
  fs::remove_all(dir_ / "repo");
  const Job done = ask_for("camera.hcb");
  EXPECT_EQ(done.state, JobState::done) << error_of(done);
  EXPECT_EQ(os_json({"history", "--target", kCamera})["transactions"][0]["to"]["version"], "2.0");
  EXPECT_EQ(ask_for("camera.hcb").state, JobState::done) << "asked for again";
}

TEST_F(PayloadFiles, WhatIsNotSignedHereChangesNothing) {
  make_archive("3.0");
  put_into_upgrades("camera.tar.gz");
  EXPECT_THAT(curl_tcp("/queue-upgrade?filename=camera.tar.gz").output,
              AllOf(HasSubstr("not signed"), HasSubstr("hc-payload sign-archive")));
  // By a key that this node does not know.
  ASSERT_EQ(hc({"keygen", "stranger"}).status, 0);
  ASSERT_EQ(hc({"sign-archive", "camera.tar.gz", "--sequence", "3", "--key", "stranger.key"}).status, 0);
  put_into_upgrades("camera.tar.gz.sig");
  const Job strange = ask_for("camera.tar.gz");
  EXPECT_EQ(strange.state, JobState::failed);
  EXPECT_EQ(strange.error->code(), Code::untrusted) << error_of(strange);
  // A good signature of another archive.
  fs::remove(dir_ / "camera.tar.gz.sig");
  sign_archive(3);
  make_archive("4.0");
  fs::remove(upgrades() / "camera.tar.gz");
  fs::remove(upgrades() / "camera.tar.gz.sig");
  put_into_upgrades("camera.tar.gz");
  put_into_upgrades("camera.tar.gz.sig");
  const Job other = ask_for("camera.tar.gz");
  EXPECT_EQ(other.state, JobState::failed);
  EXPECT_THAT(error_of(other), HasSubstr("is not the archive that"));
  EXPECT_FALSE(fs::exists(state() / "unpack"));
  EXPECT_EQ(os_json({"status"})["transaction"], nullptr);
}

}  // namespace
}  // namespace hc
