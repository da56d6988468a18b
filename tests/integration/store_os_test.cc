#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include <cstdlib>
#include <fstream>

#include "engine/store/os_store.h"
#include "tests/integration/support/store_node.h"

namespace hc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Something mounted for as long as it lives: a file system in memory, or a directory seen at a second place.
class Mount {
 public:
  Mount(fs::path place, const char* options) : place_(std::move(place)) {
    EXPECT_EQ(::mount("test", place_.c_str(), "tmpfs", 0, options), 0);
  }
  Mount(const fs::path& what, fs::path place) : place_(std::move(place)) {
    EXPECT_EQ(::mount(what.c_str(), place_.c_str(), nullptr, MS_BIND, nullptr), 0);
  }
  ~Mount() { EXPECT_EQ(::umount2(place_.c_str(), MNT_DETACH), 0); }
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

 private:
  fs::path place_;
};

class OsStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "deployments belong to root";
    node_ = std::make_unique<TestNode>(dir_ / "sysroot");
  }

  TestNode& node() { return *node_; }
  OsStore& store() { return node_->store(); }
  Status check(Slot slot, const VerifiedPayload& payload) {
    return store().check(slot, payload.commit(), nullptr, StopToken());
  }
  std::string arguments(Slot slot) { return must(store().arguments(slot)); }

  TempDir dir_;
  std::unique_ptr<TestNode> node_;
};

TEST_F(OsStoreTest, TwoSlotsSideBySide) {
  const VerifiedPayload one = node().release("1.0");
  const VerifiedPayload two = node().release("2.0");
  EXPECT_EQ(must(store().content(Slot::a)), std::nullopt);
  node().put(Slot::a, one);
  const SlotContent staged = node().stage(Slot::b, two);
  EXPECT_EQ(staged.version, "2.0");
  EXPECT_EQ(staged.commit, two.commit());
  EXPECT_EQ(file_text(staged.root / "usr/bin/tool"), "tool of 2.0");
  EXPECT_EQ(fs::read_symlink(node() / "ostree/slots/b").string(), "../deploy/honeycomb/deploy/" + staged.id);
  EXPECT_EQ(fs::canonical(node() / "ostree/slots/b"), fs::canonical(staged.root));
  must(check(Slot::a, one));
  must(check(Slot::b, two));
  const BootFiles files = must(store().boot_files(Slot::b));
  EXPECT_EQ(file_text(node() / ("boot" + files.kernel)), "kernel of 2.0");
  EXPECT_EQ(file_text(node() / ("boot" + files.initramfs)), "initramfs of 2.0");
  EXPECT_EQ(files.title, "Test OS 2.0");
  EXPECT_EQ(files.arguments, "ostree=/ostree/slots/b");
  EXPECT_TRUE(must(store().release()).empty());
  EXPECT_EQ(node().deployments(), 2U);
}

TEST_F(OsStoreTest, RestoreBringsTheOldContentBack) {
  const VerifiedPayload one = node().release("1.0");
  const VerifiedPayload two = node().release("2.0");
  const VerifiedPayload three = node().release("3.0");
  node().put(Slot::a, two);
  const SlotContent before = node().put(Slot::b, one);
  node().stage(Slot::b, three);
  EXPECT_EQ(node().deployments(), 3U);
  for (int times = 0; times < 2; ++times) {
    must(store().restore(Slot::b, before.id));
    EXPECT_EQ(must(store().content(Slot::b))->id, before.id);
    must(check(Slot::b, one));
    must(check(Slot::a, two));
    EXPECT_EQ(node().deployments(), 2U);
  }
  EXPECT_EQ(file_text(node() / ("boot" + must(store().boot_files(Slot::b)).kernel)), "kernel of 1.0");
  std::size_t pairs = 0;
  for (const auto& entry : fs::directory_iterator(node() / "boot/honeycomb/b")) pairs += entry.is_directory() ? 1 : 0;
  EXPECT_EQ(pairs, 1U) << "nothing of version 3.0 stays";
}

TEST_F(OsStoreTest, RestoreToAnEmptySlot) {
  const VerifiedPayload one = node().release("1.0");
  node().stage(Slot::a, one);
  must(store().restore(Slot::a, std::nullopt));
  EXPECT_EQ(must(store().content(Slot::a)), std::nullopt);
  EXPECT_EQ(node().deployments(), 0U);
  EXPECT_TRUE(fs::is_empty(node() / "boot/ostree"));
  EXPECT_TRUE(fs::is_empty(node() / "boot/honeycomb/a"));
}

TEST_F(OsStoreTest, OldContentStaysUntilReleased) {
  const VerifiedPayload one = node().release("1.0");
  const VerifiedPayload two = node().release("2.0");
  node().put(Slot::a, one);
  const SlotContent old = node().put(Slot::b, one);
  // The same version twice: still a new installation, and repeated without a pile of copies.
  std::string last = old.id;
  for (int times = 0; times < 3; ++times) {
    const SlotContent again = node().stage(Slot::b, two);
    EXPECT_NE(again.id, last);
    last = again.id;
    EXPECT_TRUE(fs::is_directory(old.root));
    EXPECT_LE(node().deployments(), 4U);
  }
  must(store().release());
  EXPECT_FALSE(fs::exists(old.root));
  EXPECT_EQ(node().deployments(), 2U);
  must(check(Slot::b, two));
}

TEST_F(OsStoreTest, AForgottenReleaseCostsNoVersion) {
  const VerifiedPayload one = node().release("1.0");
  const VerifiedPayload two = node().release("2.0");
  const VerifiedPayload three = node().release("3.0");
  node().put(Slot::a, one);
  const SlotContent confirmed = node().stage(Slot::b, two);  // and never released
  node().stage(Slot::b, three);
  node().stage(Slot::b, three);
  must(store().restore(Slot::b, confirmed.id));
  must(check(Slot::b, two));
}

TEST_F(OsStoreTest, LocalChangesOfEtcAreMerged) {
  const VerifiedPayload one = node().release("1.0", {{"usr/etc/gone", "x"}});
  const VerifiedPayload two = node().release("2.0", {{"usr/etc/new", "from 2.0"}});
  const fs::path etc = node().put(Slot::a, one).root / "etc";
  put_file(etc / "conf", "edited on the node");
  put_file(etc / "own", "made on the node");
  fs::remove(etc / "gone");
  const fs::path merged = node().stage(Slot::b, two).root / "etc";
  EXPECT_EQ(file_text(merged / "conf"), "edited on the node");
  EXPECT_EQ(file_text(merged / "own"), "made on the node");
  EXPECT_EQ(file_text(merged / "new"), "from 2.0");
  EXPECT_EQ(file_text(merged / "same"), "same in all");
  EXPECT_FALSE(fs::exists(merged / "gone"));
  const std::vector<std::string> notes = must(store().rehearse(Slot::b, two));
  EXPECT_THAT(notes, testing::Contains(HasSubstr("/etc/conf was changed on this node and by the new version")));
  must(check(Slot::b, two));
}

// What the rehearsal refuses, libostree could not have merged; what it passes, libostree merges.
TEST_F(OsStoreTest, ConflictsInEtcAreFoundBeforeAnythingIsDeployed) {
  struct Case {
    const char* what;
    Files before;
    Files after;
    std::function<void(const fs::path& etc)> edit;
    const char* conflict;  // null: merges
  };
  const std::vector<Case> cases = {
      {"changed file becomes directory",
       {{"usr/etc/turn", "x"}},
       {{"usr/etc/turn/inner", "y"}},
       [](const fs::path& etc) { put_file(etc / "turn", "mine"); },
       "/etc/turn was changed on this node"},
      {"unchanged file becomes directory",
       {{"usr/etc/turn", "x"}},
       {{"usr/etc/turn/inner", "y"}},
       [](const fs::path&) {},
       nullptr},
      {"own file, new directory",
       {},
       {{"usr/etc/turn/inner", "y"}},
       [](const fs::path& etc) { put_file(etc / "turn", "mine"); },
       "/etc/turn was made on this node"},
      {"directory with an own file becomes file",
       {{"usr/etc/d/x", "x"}},
       {{"usr/etc/d", "y"}},
       [](const fs::path& etc) { put_file(etc / "d/mine", "mine"); },
       "/etc/d/mine was made on this node"},
      {"directory with a removed file becomes file",
       {{"usr/etc/d/x", "x"}, {"usr/etc/d/y", "y"}},
       {{"usr/etc/d", "y"}},
       [](const fs::path& etc) { fs::remove(etc / "d/x"); },
       "/etc/d/x was removed on this node"},
      {"unchanged directory becomes file",
       {{"usr/etc/d/x", "x"}},
       {{"usr/etc/d", "y"}},
       [](const fs::path&) {},
       nullptr},
      {"file becomes directory on the node",
       {{"usr/etc/f", "x"}},
       {{"usr/etc/f", "y"}},
       [](const fs::path& etc) {
         fs::remove(etc / "f");
         put_file(etc / "f/mine", "mine");
       },
       nullptr},
      {"file becomes link on the node",
       {{"usr/etc/f", "x"}},
       {{"usr/etc/f", "y"}},
       [](const fs::path& etc) {
         fs::remove(etc / "f");
         fs::create_symlink("same", etc / "f");
       },
       nullptr},
      {"default directory removed with an own file in it",
       {{"usr/etc/d/x", "x"}},
       {},
       [](const fs::path& etc) { put_file(etc / "d/mine", "mine"); },
       nullptr},
      {"removed here, changed there",
       {{"usr/etc/f", "x"}},
       {{"usr/etc/f", "y"}},
       [](const fs::path& etc) { fs::remove(etc / "f"); },
       nullptr},
      {"names that differ by case",
       {},
       {{"usr/etc/Name", "y"}},
       [](const fs::path& etc) { put_file(etc / "name", "mine"); },
       nullptr},
      {"pipe beside the defaults",
       {},
       {},
       [](const fs::path& etc) { ASSERT_EQ(::mkfifo((etc / "pipe").c_str(), 0600), 0); },
       nullptr},
      {"pipe in an own directory",
       {},
       {},
       [](const fs::path& etc) {
         fs::create_directory(etc / "own");
         ASSERT_EQ(::mkfifo((etc / "own/pipe").c_str(), 0600), 0);
       },
       "/etc/own/pipe is no file"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.what);
    TestNode fresh(dir_ / test.what);
    const SlotContent from = fresh.put(Slot::a, fresh.release("1.0", test.before));
    test.edit(from.root / "etc");
    const VerifiedPayload next = fresh.release("2.0", test.after);
    const auto rehearsed = fresh.store().rehearse(Slot::b, next);
    const auto staged = fresh.store().stage(Slot::b, next, nullptr, StopToken());
    if (!test.conflict) {
      EXPECT_TRUE(rehearsed) << rehearsed.error().text();
      EXPECT_TRUE(staged) << staged.error().text();
      continue;
    }
    ASSERT_FALSE(rehearsed);
    EXPECT_EQ(rehearsed.error().code(), Code::invalid);
    EXPECT_THAT(rehearsed.error().text(), HasSubstr(test.conflict));
    EXPECT_FALSE(rehearsed.error().hint().empty());
    ASSERT_FALSE(staged);
    EXPECT_EQ(fresh.deployments(), 1U) << "no half-made deployment";
    EXPECT_EQ(must(fresh.store().content(Slot::b)), std::nullopt);
  }
}

TEST_F(OsStoreTest, KernelArgumentsOfTheNodeFollowThoseOfTheVersion) {
#ifdef __SANITIZE_ADDRESS__
  // libostree 2022.7 loses the second name of an argument that stands twice.
  const __lsan::ScopedDisabler disabler;
#endif
  const auto release = [&](const std::string& version, const std::string& defaults) {
    return node().release(version, {{"usr/lib/honeycomb/kargs.d/10-base.conf", defaults}});
  };
  node().put(Slot::a, release("1.0", "# comment\nquiet\nloglevel=3\n"));
  must(store().set_arguments(Slot::a, "root=LABEL=x foo=1 console=a console=b msg=\"two words\" quiet"));
  EXPECT_EQ(arguments(Slot::a),
            "quiet loglevel=3 root=LABEL=x foo=1 console=a console=b msg=\"two words\" quiet ostree=/ostree/slots/a");
  // Two upgrades in a row; a default changes, one goes, one comes.
  node().put(Slot::b, release("2.0", "quiet\nloglevel=4\nnew=1\n"));
  EXPECT_EQ(arguments(Slot::b),
            "quiet loglevel=4 new=1 root=LABEL=x foo=1 console=a console=b msg=\"two words\" quiet "
            "ostree=/ostree/slots/b");
  node().put(Slot::a, node().release("3.0"));
  node().open();
  EXPECT_EQ(arguments(Slot::a),
            "root=LABEL=x foo=1 console=a console=b msg=\"two words\" quiet ostree=/ostree/slots/a");
  EXPECT_FALSE(store().set_arguments(Slot::a, "bad=\"no end"));
  must(store().set_arguments(Slot::a, "ostree=/elsewhere root=/dev/sda2"));
  EXPECT_EQ(arguments(Slot::a), "root=/dev/sda2 ostree=/ostree/slots/a");
}

TEST_F(OsStoreTest, VersionsThatCannotBootAreRefused) {
  std::string kernel(0x400, '\0');
  kernel.replace(0x202, 4, "HdrS");
  kernel[0x20e] = 0x40;
  kernel.replace(0x240, 16, "6.1.0-99 (x@y) #1");
  const auto refused = [&](const VerifiedPayload& payload) {
    const auto staged = store().stage(Slot::a, payload, nullptr, StopToken());
    EXPECT_EQ(node().deployments(), 0U);
    return staged ? std::string("was staged") : staged.error().text();
  };
  EXPECT_THAT(refused(node().release("1", {{"usr/lib/modules/6.1.0/vmlinuz", kernel}})),
              HasSubstr("the kernel is version `6.1.0-99`"));
  EXPECT_THAT(refused(node().release("1", {{"usr/lib/modules/6.1.0/initramfs.img",
                                            "070701...usr/lib/modules/5.10.0/kernel/x.ko...TRAILER!!!"}})),
              HasSubstr("the initramfs holds modules of `5.10.0`"));
  EXPECT_THAT(refused(node().release("1", {{"usr/lib/modules/6.2.0/vmlinuz", "second"}})), HasSubstr("this one has 2"));
  EXPECT_THAT(refused(node().release("1", {{"usr/lib/os-release", "NAME=x\n"}})), HasSubstr("os-release"));
  EXPECT_THAT(refused(node().release("1", {{"etc/conf", "x"}})), HasSubstr("belongs in /usr/etc"));
  EXPECT_THAT(refused(node().commit("1", {{"usr/bin/x", "x"}})), HasSubstr("needs one kernel"));
}

TEST_F(OsStoreTest, DamageIsNamed) {
  const VerifiedPayload one = node().release("1.0", {{"var/", ""}});
  const fs::path root = node().put(Slot::a, one).root;
  const auto damage = [&](const std::string& path, const std::string& content) {
    // Not in place: the file is a link to the repository's object.
    fs::remove(root / path);
    put_file(root / path, content);
    const Status status = check(Slot::a, one);
    return status ? std::string("nothing found") : status.error().text();
  };
  EXPECT_THAT(damage("usr/bin/tool", ""), HasSubstr("/usr/bin/tool has 0 bytes, not 11"));
  EXPECT_THAT(damage("usr/bin/tool", "tool of 9.9"), HasSubstr("/usr/bin/tool has other content"));
  EXPECT_THAT(damage("usr/etc/conf", "conf of 9.9"),
              AllOf(HasSubstr("/usr/etc/conf has other content"), HasSubstr("/usr/bin/tool")));
  damage("usr/bin/tool", "tool of 1.0");
  damage("usr/etc/conf", "conf of 1.0");
  must(check(Slot::a, one));
  // What belongs to the node is no damage.
  put_file(root / "etc/conf", "edited");
  put_file(root / "var/lib/x", "x");
  must(check(Slot::a, one));
  ASSERT_EQ(::chmod((root / "usr/bin/tool").c_str(), 04755), 0);
  EXPECT_THAT(check(Slot::a, one).error().text(), HasSubstr("has another mode"));
  ASSERT_EQ(::chmod((root / "usr/bin/tool").c_str(), 0644), 0);
  EXPECT_THAT(check(Slot::a, node().release("2.0")).error().text(), HasSubstr("slot a holds commit"));
  const fs::path kernel = node() / ("boot" + must(store().boot_files(Slot::a)).kernel);
  fs::remove(kernel);
  put_file(kernel, "kernel of 0.9");
  EXPECT_THAT(check(Slot::a, one).error().text(), HasSubstr("vmlinuz is not the file"));
  must(store().install_boot_files(Slot::a));
  must(check(Slot::a, one));
}

TEST_F(OsStoreTest, WhatCannotBeRemovedDoesNotBlock) {
  const SlotContent old = node().put(Slot::a, node().release("1.0"));
  node().put(Slot::b, node().release("2.0"));
  put_file(dir_ / "precious/file", "must survive");
  const fs::path inside = old.root / "usr/bin";
  auto mounted = std::make_unique<Mount>(dir_ / "precious", inside);
  node().stage(Slot::a, node().release("3.0"));
  const std::vector<std::string> stuck = must(store().release());
  ASSERT_EQ(stuck.size(), 1U);
  EXPECT_THAT(stuck[0], AllOf(HasSubstr(old.id), HasSubstr("mounted")));
  node().stage(Slot::b, node().release("4.0"));
  EXPECT_EQ(must(store().release()).size(), 1U);
  EXPECT_EQ(file_text(dir_ / "precious/file"), "must survive");
  mounted.reset();
  EXPECT_TRUE(must(store().release()).empty());
  EXPECT_FALSE(fs::exists(old.root));
}

TEST_F(OsStoreTest, SmallBootPartition) {
  TestNode small(dir_ / "small");
  const Mount boot(small / "boot", "size=8m");
  small.open();
  const std::string mebibytes(3 << 20, 'k');
  const VerifiedPayload one = small.release("1.0", {{"usr/lib/modules/6.1.0/vmlinuz", mebibytes}});
  small.put(Slot::a, one);
  const VerifiedPayload same = small.release("1.1", {{"usr/lib/modules/6.1.0/vmlinuz", mebibytes},
                                                     {"usr/lib/modules/6.1.0/initramfs.img", "initramfs of 1.0"}});
  EXPECT_EQ(must(small.store().space_for(same)).needs.at(1).bytes, 0U);
  const VerifiedPayload big = small.release("2.0", {{"usr/lib/modules/6.1.0/vmlinuz", std::string(6 << 20, 'x')}});
  const SlotSpace space = must(small.store().space_for(big));
  EXPECT_GE(space.needs.at(1).bytes, 6U << 20);
  EXPECT_LT(space.needs.at(1).free.bytes, 6U << 20);
  const std::uint64_t free = must(free_space(small / "boot")).bytes;
  const auto staged = small.store().stage(Slot::b, big, nullptr, StopToken());
  ASSERT_FALSE(staged);
  EXPECT_EQ(staged.error().code(), Code::no_space) << staged.error().text();
  must(small.store().restore(Slot::b, std::nullopt));
  EXPECT_NEAR(static_cast<double>(must(free_space(small / "boot")).bytes), static_cast<double>(free), 64 << 10);
  must(small.store().check(Slot::a, one.commit(), nullptr, StopToken()));
  small.put(Slot::b, same);
}

TEST_F(OsStoreTest, SpaceFollowsDirectoriesAndEtc) {
  Files many;
  for (int i = 0; i < 300; ++i) many["usr/share/d" + std::to_string(i) + "/file"] = "same";
  const std::uint64_t few = must(store().space_for(node().release("1.0"))).needs.at(0).inodes;
  const std::uint64_t more = must(store().space_for(node().release("1.1", many))).needs.at(0).inodes;
  EXPECT_EQ(more - few, 301U);
}

TEST_F(OsStoreTest, AnotherProgramAtWorkMeansBusy) {
  const VerifiedPayload one = node().release("1.0");
  // As libostree locks: an open file description lock.
  const UniqueFd file(::open((node() / "ostree/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct flock whole {};
  whole.l_type = F_WRLCK;
  ASSERT_EQ(::fcntl(file.get(), F_OFD_SETLK, &whole), 0);
  const auto staged = store().stage(Slot::a, one, nullptr, StopToken());
  ASSERT_FALSE(staged);
  EXPECT_EQ(staged.error().code(), Code::busy);
}

TEST_F(OsStoreTest, DeployingByHandLeavesTheSlotsAlone) {
  const VerifiedPayload one = node().release("1.0");
  const VerifiedPayload two = node().release("2.0");
  const VerifiedPayload three = node().release("3.0");
  const SlotContent a = node().put(Slot::a, one);
  const SlotContent b = node().put(Slot::b, two);
  must(store().repository().set_ref("by-hand", three.commit()));
  const std::string command =
      "ostree admin deploy --os=honeycomb --sysroot=" + node().sysroot().string() +
      " by-hand >/dev/null 2>&1 && ostree admin cleanup --sysroot=" + node().sysroot().string() + " >/dev/null 2>&1";
  if (std::system("ostree --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no ostree program here";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(node().deployments(), 3U);
  EXPECT_EQ(must(store().content(Slot::a))->id, a.id);
  must(check(Slot::a, one));
  must(check(Slot::b, two));
  node().put(Slot::b, three);
  must(check(Slot::b, three));
}

TEST_F(OsStoreTest, PruneKeepsWhatTheSlotsHold) {
  const VerifiedPayload one = node().release("1.0");
  const VerifiedPayload two = node().release("2.0", {{"usr/share/big", std::string(100000, '2')}});
  const VerifiedPayload three = node().release("3.0", {{"usr/share/big", std::string(100000, '3')}});
  node().put(Slot::a, one);
  node().stage(Slot::b, two);
  EXPECT_GT(must(store().repository().prune()), 100000U);
  EXPECT_TRUE(must(store().repository().is_complete(one.commit())));
  EXPECT_TRUE(must(store().repository().is_complete(two.commit())));
  EXPECT_FALSE(must(store().repository().has_commit(three.commit())));
}

// A file system with a journal, in a file.
class Ext4 {
 public:
  explicit Ext4(const TempDir& dir) : place_(dir / "ext4") {
    const std::string image = (dir / "image").string();
    std::ofstream(image).close();
    fs::resize_file(image, 64 << 20);
    fs::create_directory(place_);
    const std::string command =
        "mkfs.ext4 -q -F -N 4096 " + image + " && mount -o loop " + image + " " + place_.string();
    mounted_ = std::system((command + " 2>/dev/null").c_str()) == 0;  // NOLINT(cert-env33-c): test set-up
  }
  ~Ext4() {
    if (mounted_) {
      // Detached: a helper of libostree may hold it for an instant longer.
      EXPECT_EQ(::umount2(place_.c_str(), MNT_DETACH), 0);
    }
  }
  Ext4(const Ext4&) = delete;
  Ext4& operator=(const Ext4&) = delete;

  bool mounted() const { return mounted_; }
  const fs::path& path() const { return place_; }

 private:
  fs::path place_;
  bool mounted_ = false;
};

TEST_F(OsStoreTest, OnAFileSystemWithAJournal) {
  const Ext4 disk(dir_);
  if (!disk.mounted()) GTEST_SKIP() << "no loop device here";
  TestNode node(disk.path() / "sysroot");
  const VerifiedPayload one = node.release("1.0");
  const SlotContent old = node.put(Slot::a, one);
  node.put(Slot::b, node.release("2.0"));
  must(freeze_and_thaw(disk.path()));
  put_file(disk.path() / "after", "thawed again");
  // Field staff do this.
  put_file(old.root / "etc/resolv.conf", "mine");
  ASSERT_EQ(std::system(("chattr +i " + (old.root / "etc/resolv.conf").string()).c_str()), 0);
  EXPECT_TRUE(must(node.store().release()).empty());
  node.put(Slot::a, node.release("3.0"));
  node.put(Slot::b, node.release("4.0"));
  EXPECT_EQ(node.deployments(), 2U);
  EXPECT_FALSE(fs::exists(old.root));
}

TEST_F(OsStoreTest, OutOfInodesEndsCleanAndIsRepeatable) {
  const Ext4 disk(dir_);
  if (!disk.mounted()) GTEST_SKIP() << "no loop device here";
  TestNode node(disk.path() / "sysroot");
  const VerifiedPayload one = node.release("1.0");
  node.put(Slot::a, one);
  Files many;
  for (int i = 0; i < 600; ++i) many["usr/share/d" + std::to_string(i) + "/file"] = "same";
  const VerifiedPayload two = node.release("2.0", many);
  std::vector<fs::path> fill;
  while (must(free_space(disk.path())).inodes > 300) {
    fill.push_back(disk.path() / ("fill" + std::to_string(fill.size())));
    put_file(fill.back(), "");
  }
  const SlotSpace space = must(node.store().space_for(two));
  EXPECT_GT(space.needs.at(0).inodes, space.needs.at(0).free.inodes);
  const std::uint64_t free = must(free_space(disk.path())).inodes;
  const auto staged = node.store().stage(Slot::b, two, nullptr, StopToken());
  ASSERT_FALSE(staged);
  EXPECT_EQ(staged.error().code(), Code::no_space) << staged.error().text();
  EXPECT_EQ(node.deployments(), 1U);
  EXPECT_NEAR(static_cast<double>(must(free_space(disk.path())).inodes), static_cast<double>(free), 8);
  must(node.store().check(Slot::a, one.commit(), nullptr, StopToken()));
  for (const fs::path& file : fill) fs::remove(file);
  node.put(Slot::b, two);
  must(node.store().check(Slot::b, two.commit(), nullptr, StopToken()));
}

TEST_F(OsStoreTest, ManyEmptyAndIdenticalFiles) {
  Files many;
  for (int i = 0; i < 3000; ++i) {
    many["usr/share/empty/" + std::to_string(i)] = "";
    many["usr/share/same/" + std::to_string(i)] = "x";
  }
  many["usr/etc/empty1"] = "";
  many["usr/etc/empty2"] = "";
  const VerifiedPayload one = node().release("1.0", many);
  const fs::path root = node().put(Slot::a, one).root;
  must(check(Slot::a, one));
  EXPECT_EQ(fs::hard_link_count(root / "etc/empty1"), 1U) << "two lock files must not be one";
}

// Kills the process that stages at many points, then goes on as after a crash.
TEST_F(OsStoreTest, KilledWhileStaging) {
  const VerifiedPayload one = node().release("1.0");
  const VerifiedPayload two = node().release("2.0");
  const SlotContent a = node().put(Slot::a, one);
  const SlotContent old = node().put(Slot::b, one);
  node_.reset();
  for (int step = 0; step < 40; ++step) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto mine = OsStore::open(dir_ / "sysroot", "honeycomb");
      const bool good = mine && (*mine)->stage(Slot::b, two, nullptr, StopToken());
      ::_exit(good ? 0 : 1);
    }
    ::usleep(static_cast<useconds_t>(step) * 2500);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const auto next = must(OsStore::open(dir_ / "sysroot", "honeycomb"));
    must(next->check(Slot::a, one.commit(), nullptr, StopToken()), "the other slot");
    EXPECT_EQ(must(next->content(Slot::a))->id, a.id);
    if (step % 2 == 0) continue;
    must(next->restore(Slot::b, old.id), "taking it back");
    must(next->check(Slot::b, one.commit(), nullptr, StopToken()));
    std::size_t left = 0;
    for (const auto& entry : fs::directory_iterator(dir_ / "sysroot/ostree/deploy/honeycomb/deploy"))
      left += entry.is_directory() ? 1 : 0;
    EXPECT_EQ(left, 2U);
  }
  const auto last = must(OsStore::open(dir_ / "sysroot", "honeycomb"));
  must(last->stage(Slot::b, two, nullptr, StopToken()));
  must(last->release());
  must(last->check(Slot::b, two.commit(), nullptr, StopToken()));
}

}  // namespace
}  // namespace hc
