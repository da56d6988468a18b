#include <gmock/gmock.h>
#include <sys/mount.h>
#include <unistd.h>

#include "bootloader/fake.h"
#include "bootloader/grub.h"
#include "engine/base/process.h"
#include "engine/base/text.h"
#include "tests/unit/bootloader_backends.h"

// bootloader/grub/grub.cfg run by GRUB itself (grub-emu: the same code, on an ext4 image instead of a disk), held
// against the sandbox's Firmware, which must decide alike in every state of the environment.
namespace hc {
namespace {

using testing::HasSubstr;

const fs::path kConfig = fs::path(HC_BOOTLOADER_DIR) / "grub/grub.cfg";

std::string run(const std::vector<std::string>& argv) {
  CommandOptions options;
  options.environment = {{"TERM", "dumb"}, {"MKE2FS_SKIP_PROGRESS", "1"}};
  options.timeout_ms = 300'000;
  options.output_limit = 16 << 20;
  const Result<CommandResult> result = run_command(argv, options);
  if (!result) {
    ADD_FAILURE() << result.error().text();
    return {};
  }
  EXPECT_EQ(result->status, 0) << argv[0] << ": " << result->output << result->errors;
  return result->output + result->errors;
}

std::string block(const std::string& lines) {
  std::string text = "# GRUB Environment Block\n" + lines;
  text.resize(GrubEnv::kSize, '#');
  return text;
}

// A boot directory in a given state.
struct Case {
  std::string what;
  std::optional<std::string> env;
  std::string hint;
  bool kernel_a = true;
  bool kernel_b = true;
};

void make_boot(const fs::path& boot, const Case& c) {
  ASSERT_TRUE(make_dirs(boot / "grub"));
  if (c.env) {
    ASSERT_TRUE(write_atomically(grubenv_path(boot), *c.env));
  }
  for (const Slot slot : {Slot::a, Slot::b}) {
    const std::string dir = "honeycomb/" + std::string(name(slot));
    ASSERT_TRUE(make_dirs(boot / dir));
    const EntryFiles entries(boot, "slot.cfg", EntryStyle::grub);
    const BootEntry entry{
        "Tom & Jerry <2>; {x} $HOME", "/" + dir + "/vmlinuz", "/" + dir + "/initrd",
        "ostree=/ostree/slots/" + std::string(name(slot)) + " a=b;c,d & | < > { } $x ${y} # ! [z] ~ % @ ^"};
    ASSERT_TRUE(entries.write(slot, entry));
    if (slot == Slot::a ? c.kernel_a : c.kernel_b) {
      ASSERT_TRUE(write_atomically(boot / dir / "vmlinuz", "kernel"));
    }
    ASSERT_TRUE(write_atomically(boot / dir / "initrd", "initrd"));
  }
  if (!c.hint.empty()) {
    ASSERT_TRUE(write_atomically(boot / "honeycomb/confirmed.cfg", c.hint));
  }
}

// What a block says to GRUB, whatever the order of its lines: GRUB changes a variable in its place, we put ours first.
std::string meaning(const std::optional<std::string>& block) {
  if (!block) return "no environment";
  const GrubEnv env = GrubEnv::parse(*block);
  std::string text = std::to_string(block->size()) + " bytes";
  for (const char* variable : {"hc_good", "hc_try", "hc_tries", "saved_entry", "last"})
    text += ", " + std::string(variable) + "=" + env.get(variable).value_or("(unset)");
  return text;
}

class GrubItself : public testing::Test {
 protected:
  // Runs grub.cfg's `commands` with the image of `tree` as its only disk, and gives GRUB's output.
  std::string grub(const fs::path& tree, const std::string& commands) {
    const fs::path image = work_.path() / "image";
    fs::remove(image);
    run({"mke2fs", "-q", "-t", "ext4", "-N", "20000", "-d", tree.string(), image.string(), "128M"});
    EXPECT_TRUE(write_atomically(work_.path() / "device.map", "(hd0) " + image.string() + "\n"));
    EXPECT_TRUE(make_dirs(work_.path() / "host"));
    // grub-emu has no `linux` and `initrd`; as functions they can say what a kernel would have been given.
    const std::string stand_ins =
        "function linux {\n if [ ! -f \"$1\" ]; then return 1; fi\n set line=\"$*\"\n}\n"
        "function initrd {\n if [ ! -f \"$1\" ]; then return 1; fi\n echo BOOT\n"
        " for word in $line; do\n echo \"WORD $word\"\n done\n exit\n}\n";
    EXPECT_TRUE(write_atomically(work_.path() / "host/grub.cfg", "set pager=0\nset root=hd0\n" + stand_ins + commands));
    const std::string map = (work_.path() / "device.map").string();
    return run({"grub-emu", "-m", map, "-d", (work_.path() / "host").string(), "-r", "host"});
  }
  std::optional<std::string> file_in_image(const fs::path& path) {
    const std::string copy = (work_.path() / "copy").string();
    fs::remove(copy);
    run({"debugfs", "-R", "dump " + path.string() + " " + copy, (work_.path() / "image").string()});
    return read_file_if_exists(copy).value();
  }
  // The rest of the line after `mark`, looked for from `start`; GRUB draws progress bars around it.
  static std::string after(const std::string& output, const std::string& mark, std::size_t start = 0) {
    start = output.find(mark, start);
    if (start == std::string::npos) return "(nothing)";
    const std::size_t end = output.find_first_of("\r\n\x1b", start);
    return output.substr(start + mark.size(), end - start - mark.size());
  }
  // The words that the kernel was started with.
  static std::string booted(const std::string& output) {
    std::string line;
    std::size_t place = output.find("BOOT");
    while ((place = output.find("WORD ", place)) != std::string::npos) {
      line += (line.empty() ? "" : " ") + after(output, "WORD ", place);
      ++place;
    }
    return line;
  }

  // In memory where there is such a place: the test is about GRUB's decisions, and makes thousands of small files.
  TempDir work_{fs::is_directory("/dev/shm") ? "/dev/shm" : fs::temp_directory_path()};
};

std::vector<Case> environments() {
  std::vector<Case> cases;
  const auto line = [](const char* name, const std::string& value) {
    return value == "unset" ? "" : std::string(name) + "=" + value + "\n";
  };
  for (const std::string good : {"unset", "", "a", "b", "c"}) {
    for (const std::string trial : {"unset", "", "-", "a", "b", "ab", "zz"}) {
      for (const std::string tries : {"unset", "", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "03", "x"}) {
        const std::string lines = line("hc_good", good) + line("hc_try", trial) + line("hc_tries", tries);
        cases.push_back({lines, block(lines), good == "c" ? "set hc_good='b'\n" : ""});
      }
    }
  }
  for (const std::string hint : {"", "set hc_good='a'\n", "set hc_good='b'\n"}) {
    cases.push_back({"missing", std::nullopt, hint});
    cases.push_back({"zeros", std::string(1024, '\0'), hint});
    cases.push_back({"empty", "", hint});
    cases.push_back({"no signature", std::string(1024, '#'), hint});
  }
  cases.push_back({"foreign first", block("saved_entry=x\\\\y\nhc_good=a\nhc_try=b\nhc_tries=3\nlast=1\n"), ""});
  cases.push_back({"twice", block("hc_good=a\nhc_try=b\nhc_tries=3\nhc_good=b\n"), ""});
  return cases;
}

// Every state of the environment, in one run of GRUB: each case is a boot directory of one image.
TEST_F(GrubItself, DecidesAsTheSandboxDoesInEveryStateOfTheEnvironment) {
  const std::vector<Case> cases = environments();
  const fs::path tree = work_.path() / "tree";
  std::string commands = "source (host)" + kConfig.string() + "\n";
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string number = std::to_string(i);
    ASSERT_NO_FATAL_FAILURE(make_boot(tree / number, cases[i]));
    commands.append("set hc_boot=/").append(number).append("\nset hc_env=$hc_boot/grub/grubenv\nhc_choose\n");
    commands.append("echo \"CASE").append(number).append("=$hc_slot $hc_reason\"\n");
  }
  const std::string output = grub(tree, commands + "exit\n");
  const fs::path after_it = work_.path() / "after";
  ASSERT_TRUE(make_dirs(after_it));
  run({"debugfs", "-R", "rdump / " + after_it.string(), (work_.path() / "image").string()});
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string number = std::to_string(i);
    const Result<BootChoice> choice = Firmware(tree / number).boot_once();
    ASSERT_TRUE(choice) << cases[i].what;
    const auto env = [&](const fs::path& root) {
      return meaning(read_file_if_exists(grubenv_path(root / number)).value());
    };
    EXPECT_EQ(after(output, "CASE" + number + "="), std::string(name(choice->slot)) + " " + choice->reason)
        << cases[i].what;
    EXPECT_EQ(env(after_it), env(tree)) << cases[i].what;
  }
}

TEST_F(GrubItself, StartsTheKernelThatTheSandboxStarts) {
  const std::string armed = block("hc_good=a\nhc_tries=2\nhc_try=b\n");
  const std::vector<Case> cases = {
      {"confirmed", block("hc_good=b\nhc_tries=0\nhc_try=-\n"), ""},
      {"trial", armed, ""},
      {"the trial's kernel is gone", armed, "", true, false},
      {"the confirmed kernel is gone", block("hc_good=a\n"), "", false, true},
      {"used up", block("hc_good=b\nhc_tries=0\nhc_try=a\n"), ""},
      {"no environment", std::nullopt, "set hc_good='b'\n"},
  };
  for (const Case& c : cases) {
    const fs::path tree = work_.path() / "tree";
    ASSERT_TRUE(remove_tree(tree));
    // Both wirings: /boot as a directory of the root file system, and as a partition of its own.
    for (const char* place : {"boot", ""}) {
      ASSERT_NO_FATAL_FAILURE(make_boot(tree / place, c));
      const std::string output = grub(tree, "source (host)" + kConfig.string() + "\nhc_start\nexit\n");
      const std::optional<std::string> env = file_in_image(fs::path("/") / place / "grub/grubenv");
      const BootChoice choice = Firmware(tree / place).boot_once().value();
      const std::string prefix = *place ? "/boot" : "";
      EXPECT_EQ(booted(output), prefix + choice.entry.kernel + " " + choice.command_line) << c.what;
      EXPECT_EQ(meaning(env), meaning(read_file_if_exists(grubenv_path(tree / place)).value())) << c.what;
      ASSERT_TRUE(remove_tree(tree));
    }
  }
}

TEST_F(GrubItself, DoesNotTryWhatItCannotCount) {
  const fs::path tree = work_.path() / "tree";
  ASSERT_NO_FATAL_FAILURE(make_boot(tree, {"", block("hc_good=a\nhc_tries=2\nhc_try=b\n"), ""}));
  const std::string config = read_file(kConfig).value();
  // `save_env` on a file of another name that is not there stands for a disk that refuses.
  std::string broken = config;
  const std::string command = "if save_env --file \"$hc_env\"";
  ASSERT_THAT(config, HasSubstr(command));
  broken.replace(broken.find(command), command.size(), "if save_env --file /nowhere");
  ASSERT_TRUE(write_atomically(work_.path() / "broken.cfg", broken));
  const std::string output =
      grub(tree, "source (host)" + (work_.path() / "broken.cfg").string() + "\nhc_start\nexit\n");
  EXPECT_THAT(booted(output), HasSubstr("ostree=/ostree/slots/a"));
  EXPECT_THAT(booted(output), HasSubstr("honeycomb.reason=fallback-save-failed"));
}

TEST_F(GrubItself, ReadsWhatWeWriteAndWeReadWhatItsToolsWrite) {
  ASSERT_TRUE(Firmware::prepare_sandbox(work_.path()));
  const std::string env = grubenv_path(work_.path()).string();
  run({"grub-editenv", env, "set", "saved_entry=a b=c\\d"});
  GrubControl control(work_.path());
  ASSERT_TRUE(control.check());
  EXPECT_EQ(run({"grub-editenv", env, "list"}), "hc_good=a\nhc_tries=0\nhc_try=-\nsaved_entry=a b=c\\d\n");
  run({"grub-editenv", env, "create"});
  ASSERT_TRUE(control.check());
  EXPECT_THAT(run({"grub-editenv", env, "list"}), HasSubstr("hc_good=a\n"));
}

TEST(GrubConfig, IsGoodSyntax) { run({"grub-script-check", kConfig.string()}); }

// A real ext4 with a journal, mounted: nothing of a sandbox here.
class MountedExt4 : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
    const std::string image = (work_.path() / "image").string();
    run({"mke2fs", "-q", "-t", "ext4", image, "32M"});
    ASSERT_TRUE(make_dirs(boot()));
    run({"mount", "-o", "loop", image, boot().string()});
    mounted_ = true;
    ASSERT_NO_FATAL_FAILURE(make_boot(boot(), {"", block("hc_good=a\n"), ""}));
    fs::copy_file(kConfig, boot() / "grub/grub.cfg");
  }
  void TearDown() override {
    if (mounted_) run({"umount", boot().string()});
  }
  fs::path boot() const { return work_.path() / "boot"; }

  TempDir work_;
  bool mounted_ = false;
};

TEST_F(MountedExt4, TheWholeSwitchWorks) {
  GrubControl control(boot());
  const Status checked = control.check();
  ASSERT_TRUE(checked) << checked.error().text();
  ASSERT_TRUE(control.install_entry(Slot::b, {"b", "/honeycomb/b/vmlinuz", "/honeycomb/b/initrd", "quiet"}));
  ASSERT_TRUE(control.arm(Slot::b, 2));
  EXPECT_EQ(Firmware(boot()).boot_once().value().reason, "trial-1");
  ASSERT_TRUE(control.confirm(Slot::b));
  EXPECT_EQ(control.state().value(), (BootState{Slot::b, std::nullopt, 0}));
}

// GRUB reads the file system without its journal: what arm() relies on must be in place before it returns.
TEST_F(MountedExt4, WhatIsArmedIsThereForGrubToo) {
  GrubControl control(boot());
  ASSERT_TRUE(control.check());
  const BootEntry entry{"new", "/honeycomb/b/vmlinuz-new", "/honeycomb/b/initrd-new", "new=1"};
  ASSERT_TRUE(write_atomically(boot() / "honeycomb/b/vmlinuz-new", "new kernel"));
  ASSERT_TRUE(write_atomically(boot() / "honeycomb/b/initrd-new", "new initramfs"));
  ASSERT_TRUE(control.install_entry(Slot::b, entry));
  ASSERT_TRUE(control.arm(Slot::b, 2));
  // debugfs reads the image as GRUB does, and the loop device's cache is not what the file holds.
  const std::string image = (work_.path() / "image").string();
  const auto seen = [&](const std::string& path) { return run({"debugfs", "-R", "cat " + path, image}); };
  EXPECT_THAT(seen("/honeycomb/b/slot.cfg"), HasSubstr("set hc_args='new=1'"));
  EXPECT_THAT(seen("/honeycomb/b/vmlinuz-new"), HasSubstr("new kernel"));
  EXPECT_THAT(seen("/grub/grubenv"), HasSubstr("hc_good=a\nhc_tries=2\nhc_try=b\n"));
}

TEST_F(MountedExt4, AConfigurationThatDoesNotCountIsRefused) {
  ASSERT_TRUE(write_atomically(boot() / "grub/grub.cfg", "menuentry x { linux /vmlinuz }\n"));
  const Status refused = GrubControl(boot()).check();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("does not count boot attempts"));
}

TEST_F(MountedExt4, AReadOnlyFileSystemIsRefused) {
  ASSERT_EQ(::mount(nullptr, boot().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  GrubControl control(boot());
  EXPECT_FALSE(control.check());
  EXPECT_FALSE(control.arm(Slot::b, 2));
  EXPECT_EQ(control.state().value(), BootState{});
}

}  // namespace
}  // namespace hc
