#include "tests/unit/bootloader_backends.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "bootloader/boot_dir.h"
#include "bootloader/factory.h"
#include "bootloader/fake.h"
#include "bootloader/grub.h"
#include "bootloader/rules.h"
#include "bootloader/systemd_boot.h"
#include "bootloader/uboot.h"
#include "engine/base/process.h"

namespace hc {
namespace {

class FakeBackend final : public Backend {
 public:
  BootControl& control() override { return boot_; }
  Slot power_on() override { return boot_.boot().value().slot; }
  std::map<std::string, std::string> fingerprint(Slot) override { return {}; }
  void make_kernel(const BootEntry&) override {}
  void add_foreign() override {}
  bool has_foreign() override { return true; }
  std::shared_ptr<void> break_writes() override {
    boot_.before_write = [] { return Status(Error(Code::io, "no more writes")); };
    return {&boot_, [this](void*) { boot_.before_write = nullptr; }};
  }

 private:
  FakeBootControl boot_;
};

// A backend on a directory that stands for /boot.
class DirBackend : public Backend {
 public:
  explicit DirBackend(const char* kind) : kind_(kind) {}

  BootControl& control() override {
    if (!control_) control_ = make_boot_control(kind_, boot()).value();
    return *control_;
  }
  std::map<std::string, std::string> fingerprint(Slot slot) override {
    return files_below(boot() / "honeycomb" / name(slot));
  }
  void make_kernel(const BootEntry& entry) override {
    for (const std::string& file : {entry.kernel, entry.initramfs}) {
      const fs::path path = boot() / fs::path(file).relative_path();
      EXPECT_TRUE(make_dirs(path.parent_path()));
      EXPECT_TRUE(write_atomically(path, file));
    }
  }

 protected:
  fs::path boot() const { return dir_.path() / "boot"; }
  fs::path sysroot() const { return dir_.path(); }

 private:
  TempDir dir_;
  std::string kind_;
  std::unique_ptr<BootControl> control_;
};

class GrubBackend final : public DirBackend {
 public:
  GrubBackend() : DirBackend("grub") { EXPECT_TRUE(Firmware::prepare_sandbox(boot())); }

  Slot power_on() override { return Firmware(boot()).boot_once().value().slot; }
  // As another tool leaves them: its own first, ours behind.
  void add_foreign() override {
    std::string block = "# GRUB Environment Block\n# a note\nsaved_entry=x\\\\y\nhc_good=a\n" + filler() + "\n";
    block.resize(GrubEnv::kSize, '#');
    EXPECT_TRUE(write_atomically(grubenv_path(boot()), block));
  }
  bool has_foreign() override {
    const std::string block = read_file(grubenv_path(boot())).value();
    return block.find("\n# a note\nsaved_entry=x\\\\y\n" + filler() + "\n#") != std::string::npos;
  }

 private:
  static std::string filler() { return "filler=" + std::string(600, 'x'); }
};

// Takes the decision that boot.cmd takes, with our codec. (The script itself runs in QEMU.)
class UbootBackend final : public DirBackend {
 public:
  UbootBackend() : DirBackend("uboot") {
    EXPECT_TRUE(make_sandbox(boot()));
    EXPECT_TRUE(make_dirs(sysroot() / "etc"));
    const std::string device = (sysroot() / "uboot.env").string();
    EXPECT_TRUE(write_atomically(config(), "# two copies\n" + device + " 0x0000 0x1000\n" + device + " 4096 4096\n"));
    UbootEnv env;
    env.set("bootdelay", "2");
    EXPECT_TRUE(write_atomically(device, env.serialise(4096).value()));
  }

  Slot power_on() override {
    UbootCopies copies = read_uboot_env(config()).value();
    const BootState state = read_switch([&](const char* name) { return copies.env.get(name); }).state;
    if (!state.trial || state.tries_left == 0) return state.confirmed;
    copies.env.set("hc_tries", std::to_string(state.tries_left - 1));
    EXPECT_TRUE(save_uboot_env(copies, copies.env));
    return *state.trial;
  }
  void add_foreign() override {
    UbootCopies copies = read_uboot_env(config()).value();
    copies.env.set("bootcmd", "run distro_bootcmd; echo a=b");
    EXPECT_TRUE(save_uboot_env(copies, copies.env));
  }
  bool has_foreign() override {
    const UbootEnv env = read_uboot_env(config()).value().env;
    return env.get("bootcmd") == "run distro_bootcmd; echo a=b" && env.get("bootdelay") == "2";
  }

 private:
  fs::path config() const { return sysroot() / "etc/fw_env.config"; }
};

// Nothing can be made, renamed or removed in a directory while it lives.
class Frozen {
 public:
  explicit Frozen(const fs::path& dir) : fd_(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    works_ = ::ioctl(fd_.get(), FS_IOC_GETFLAGS, &before_) == 0 && set(before_ | FS_IMMUTABLE_FL);
  }
  ~Frozen() {
    if (works_) set(before_);
  }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;
  bool works() const { return works_; }

 private:
  bool set(int flags) { return ::ioctl(fd_.get(), FS_IOC_SETFLAGS, &flags) == 0; }
  UniqueFd fd_;
  int before_ = 0;
  bool works_ = false;
};

// Takes entries as systemd-boot sorts them: those that are used up last, else the highest name first.
class SystemdBootBackend final : public DirBackend {
 public:
  SystemdBootBackend() : DirBackend("systemd-boot") {
    EXPECT_TRUE(make_sandbox(boot()));
    EXPECT_TRUE(make_dirs(entries()));
    EXPECT_TRUE(write_atomically(boot() / "loader/loader.conf", kLoaderConf));
  }

  Slot power_on() override {
    std::vector<EntryName> names;
    for (const std::string& file : list_dir(entries()).value()) {
      if (const auto name = EntryName::parse(file)) names.push_back(*name);
    }
    const auto used_up = [](const EntryName& name) { return name.left == 0U; };
    const EntryName best = *std::max_element(names.begin(), names.end(), [&](const auto& one, const auto& two) {
      if (used_up(one) != used_up(two)) return used_up(one);
      return one.generation < two.generation;
    });
    if (best.left && *best.left > 0) {
      const EntryName counted{best.generation, best.slot, *best.left - 1, best.done + 1};
      fs::rename(entries() / best.file(), entries() / counted.file());
    }
    return best.slot;
  }
  std::map<std::string, std::string> fingerprint(Slot slot) override {
    auto files = DirBackend::fingerprint(slot);
    for (const auto& [path, text] : files_below(entries())) {
      const auto name = EntryName::parse(fs::path(path).filename().string());
      if (name && name->slot == slot) files[path] = text;
    }
    return files;
  }
  void add_foreign() override { EXPECT_TRUE(write_atomically(entries() / "debian-1+3.conf", "title Debian\n")); }
  bool has_foreign() override {
    return read_file_if_exists(entries() / "debian-1+3.conf").value() == "title Debian\n" &&
           read_file_if_exists(boot() / "loader/loader.conf").value() == kLoaderConf;
  }
  std::shared_ptr<void> break_writes() override {
    auto frozen = std::make_shared<Frozen>(entries());
    return frozen->works() ? frozen : nullptr;
  }

 private:
  static constexpr const char* kLoaderConf = "timeout 0\ndefault   honeycomb-*\n";
  fs::path entries() const { return boot() / "loader/entries"; }
};

// A board's program, as small as one can be.
constexpr const char* kProgram = R"sh(
save() { printf '%s\n' "$@" >"$state.new"; mv "$state.new" "$state"; }
confirmed=a; trial=; tries_left=0
if [ -f "$state" ]; then . "$state"; fi
case $1 in
  check) ;;
  get-state) echo "confirmed=$confirmed"; echo "trial=$trial"; echo "tries_left=$tries_left"; echo "board=demo" ;;
  arm) save "confirmed=$confirmed" "trial=$2" "tries_left=$3" ;;
  confirm) save "confirmed=$2" ;;
  disarm) save "confirmed=$confirmed" ;;
  entry) [ ! -f "$3" ] || grep -q '^hc_kernel=/' "$3" ;;
  power-on)
    if [ -n "$trial" ] && [ "$tries_left" -gt 0 ]; then
      save "confirmed=$confirmed" "trial=$trial" "tries_left=$((tries_left - 1))"
      exit 11
    fi ;;
  *) echo "unknown: $1" >&2; exit 2 ;;
esac
)sh";

class CustomBackend final : public DirBackend {
 public:
  CustomBackend() : DirBackend("") {
    EXPECT_TRUE(make_sandbox(boot()));
    const std::string program = "#!/bin/sh\nset -eu\nstate=" + (sysroot() / "state").string() + kProgram;
    EXPECT_TRUE(write_atomically(program_path(), program, 0755));
  }

  BootControl& control() override {
    if (!control_) control_ = make_boot_control("custom:" + program_path().string(), boot()).value();
    return *control_;
  }
  Slot power_on() override {
    const BootState state = control().state().value();
    const bool tried = run_command({program_path().string(), "power-on"}).value().status == 11;
    return tried ? *state.trial : state.confirmed;
  }
  void add_foreign() override {}
  bool has_foreign() override { return true; }

 private:
  fs::path program_path() const { return sysroot() / "board"; }
  std::unique_ptr<BootControl> control_;
};

}  // namespace

std::vector<BackendMaker> backend_makers() {
  return {
      {"Fake", [] { return std::make_unique<FakeBackend>(); }},
      {"Grub", [] { return std::make_unique<GrubBackend>(); }},
      {"Uboot", [] { return std::make_unique<UbootBackend>(); }},
      {"SystemdBoot", [] { return std::make_unique<SystemdBootBackend>(); }},
      {"Custom", [] { return std::make_unique<CustomBackend>(); }},
  };
}

std::map<std::string, std::string> files_below(const fs::path& dir) {
  std::map<std::string, std::string> files;
  for (const auto& item : fs::recursive_directory_iterator(dir)) {
    if (item.is_regular_file()) files[item.path().string()] = read_file(item.path()).value();
  }
  return files;
}

}  // namespace hc
