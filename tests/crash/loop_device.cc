#include "tests/crash/loop_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace hc {

Result<LoopDevice> LoopDevice::attach(int file) {
  const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control) return Error::from_errno(errno, "opening /dev/loop-control");
  constexpr int kMostAttempts = 200;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return Error::from_errno(errno, "asking for a free loop device");
    const fs::path path = "/dev/loop" + std::to_string(number);
    UniqueFd device(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    loop_config config{};
    config.fd = static_cast<std::uint32_t>(file);
    config.block_size = 512;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (device && ::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return LoopDevice(std::move(device), path);
    // Somebody else was quicker.
    if (errno != EBUSY && errno != ENXIO && errno != ENOENT)
      return Error::from_errno(errno, "setting " + path.string() + " up");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return Error(Code::busy, "no loop device is free");
}

Status LoopDevice::forget() const {
  if (::ioctl(device_.get(), BLKFLSBUF, 0) == 0) return ok;
  return Error::from_errno(errno, "flushing " + path_.string());
}

Status own_mounts() {
  if (::unshare(CLONE_NEWNS) != 0) return Error::from_errno(errno, "making a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return Error::from_errno(errno, "making mounts private");
  return ok;
}

Result<Mounted> Mounted::mount(const fs::path& device, const fs::path& directory, const std::string& kind,
                               unsigned long flags, const std::string& options) {
  if (::mount(device.c_str(), directory.c_str(), kind.c_str(), flags, options.c_str()) != 0)
    return Error::from_errno(errno, "mounting " + device.string() + " as " + kind + " (" + options + ")");
  return Mounted(directory);
}

Mounted::~Mounted() { static_cast<void>(unmount()); }

Status Mounted::unmount() {
  if (directory_.empty()) return ok;
  const fs::path directory = std::exchange(directory_, {});
  constexpr int kMostAttempts = 100;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    if (::umount2(directory.c_str(), 0) == 0) return ok;
    if (errno != EBUSY) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const Error error = Error::from_errno(errno, "unmounting " + directory.string());
  ::umount2(directory.c_str(), MNT_DETACH);
  return error;
}

}  // namespace hc
