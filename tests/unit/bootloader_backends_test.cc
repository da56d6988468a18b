#include "tests/unit/bootloader_backends.h"

#include "bootloader/factory.h"
#include "bootloader/fake.h"
#include "bootloader/grub.h"

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
    return {nullptr, [this](void*) { boot_.before_write = nullptr; }};
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
  fs::path boot() const { return dir_.path(); }

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

}  // namespace

std::vector<BackendMaker> backend_makers() {
  return {
      {"Fake", [] { return std::make_unique<FakeBackend>(); }},
      {"Grub", [] { return std::make_unique<GrubBackend>(); }},
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
