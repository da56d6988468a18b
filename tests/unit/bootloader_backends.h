#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bootloader/boot_control.h"
#include "engine/base/file.h"

namespace hc {

// A directory for one test, removed with everything in it.
class TempDir {
 public:
  explicit TempDir(const fs::path& parent = fs::temp_directory_path()) {
    std::string name = (parent / "hc-boot-XXXXXX").string();
    if (!::mkdtemp(name.data())) std::abort();
    path_ = name;
  }
  ~TempDir() { EXPECT_TRUE(remove_tree(path_)); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// While it lives, no write of this process to a regular file succeeds: real system calls, a real error (EFBIG).
class NoWrites {
 public:
  NoWrites() {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NoWrites() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  NoWrites(const NoWrites&) = delete;
  NoWrites& operator=(const NoWrites&) = delete;

 private:
  rlimit before_{};
};

// One bootloader with a place of its own to work on.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual BootControl& control() = 0;
  // One power-on, by what plays this bootloader's firmware.
  virtual Slot power_on() = 0;
  // Everything that starting `slot` reads from the disk, by path; where there is no disk, nothing.
  virtual std::map<std::string, std::string> fingerprint(Slot slot) = 0;
  virtual void make_kernel(const BootEntry& entry) = 0;
  // Settings of other tools in the same environment.
  virtual void add_foreign() = 0;
  virtual bool has_foreign() = 0;
  // Until the answer is released, every write fails. Nothing where that cannot be brought about.
  virtual std::shared_ptr<void> break_writes() { return std::make_shared<NoWrites>(); }
};

struct BackendMaker {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;
};
std::vector<BackendMaker> backend_makers();

// The content of every file below `dir`, by path.
std::map<std::string, std::string> files_below(const fs::path& dir);

}  // namespace hc
