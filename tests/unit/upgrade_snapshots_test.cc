#include <gtest/gtest.h>
#include <stdlib.h>

#include "engine/upgrade/snapshots.h"

namespace hc {
namespace {

class SnapshotsTest : public ::testing::Test {
 protected:
  SnapshotsTest() {
    std::string pattern = fs::temp_directory_path() / "hc-snapshots-XXXXXX";
    directory_ = fs::canonical(::mkdtemp(pattern.data()));
    write("lib/cam/db", "first");
  }
  ~SnapshotsTest() override { static_cast<void>(remove_tree(directory_)); }

  fs::path var(const std::string& path) const { return directory_ / "var" / path; }
  void write(const std::string& path, std::string_view content) const {
    ASSERT_TRUE(make_dirs(var(path).parent_path()));
    ASSERT_TRUE(write_atomically(var(path), content));
  }
  std::string db() const { return read_file(var("lib/cam/db")).value(); }

  fs::path directory_;
  const Target camera_ = *Target::parse("camera");
  const std::vector<std::string> paths_ = {"/var/lib/cam", "/var/lib/gone"};
};

TEST_F(SnapshotsTest, WhatWasKeptComesBackAndWhatWasNotThereGoes) {
  Snapshots snapshots(directory_ / "kept", directory_ / "var");
  ASSERT_TRUE(snapshots.keep(camera_, "v1.0", paths_, 5));
  write("lib/cam/db", "migrated");
  write("lib/cam/extra", "x");
  write("lib/gone/x", "x");
  for (int i = 0; i < 2; ++i) {
    const Status back = snapshots.bring_back(camera_, "v1.0", 5);
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_EQ(db(), "first");
    EXPECT_FALSE(fs::exists(var("lib/cam/extra")));
    EXPECT_FALSE(fs::exists(var("lib/gone")));
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(var("lib")), {}), 1) << "nothing of ours is left beside it";
}

TEST_F(SnapshotsTest, ASnapshotOfAnEarlierTransactionIsNotForThisOnesFailure) {
  Snapshots snapshots(directory_ / "kept", directory_ / "var");
  ASSERT_TRUE(snapshots.keep(camera_, "v1.0", paths_, 5));
  write("lib/cam/db", "weeks of work");
  ASSERT_TRUE(snapshots.bring_back(camera_, "v1.0", 9));
  EXPECT_EQ(db(), "weeks of work");
  ASSERT_TRUE(snapshots.bring_back(camera_, "v1.0", std::nullopt));
  EXPECT_EQ(db(), "first");
}

TEST_F(SnapshotsTest, ARepetitionInOneTransactionKeepsTheFirstCopy) {
  Snapshots snapshots(directory_ / "kept", directory_ / "var");
  ASSERT_TRUE(snapshots.keep(camera_, "v1.0", paths_, 5));
  write("lib/cam/db", "half migrated");
  ASSERT_TRUE(snapshots.keep(camera_, "v1.0", paths_, 5));
  ASSERT_TRUE(snapshots.bring_back(camera_, "v1.0", 5));
  EXPECT_EQ(db(), "first");
  write("lib/cam/db", "later");
  ASSERT_TRUE(snapshots.keep(camera_, "v1.0", paths_, 6));
  write("lib/cam/db", "half migrated");
  ASSERT_TRUE(snapshots.bring_back(camera_, "v1.0", 6));
  EXPECT_EQ(db(), "later");
}

TEST_F(SnapshotsTest, AWayOverALinkIsRefused) {
  Snapshots snapshots(directory_ / "kept", directory_ / "var");
  ASSERT_TRUE(make_dirs(directory_ / "elsewhere/deep"));
  fs::create_directory_symlink(directory_ / "elsewhere", var("lib/link"));
  EXPECT_FALSE(snapshots.keep(camera_, "v1.0", {"/var/lib/link/deep"}, 5));
  EXPECT_FALSE(snapshots.keep(camera_, "v1.0", {"/etc"}, 5));
  EXPECT_FALSE(snapshots.keep(camera_, "v1.0", {"/var/../etc"}, 5));
}

TEST_F(SnapshotsTest, OthersAreDropped) {
  Snapshots snapshots(directory_ / "kept", directory_ / "var");
  ASSERT_TRUE(snapshots.keep(camera_, "v1.0", paths_, 5));
  ASSERT_TRUE(snapshots.keep(camera_, "v2.0", paths_, 6));
  ASSERT_TRUE(snapshots.drop_others(camera_, {"v2.0"}));
  EXPECT_FALSE(fs::exists(directory_ / "kept/camera/v1.0"));
  EXPECT_TRUE(fs::exists(directory_ / "kept/camera/v2.0"));
}

}  // namespace
}  // namespace hc
