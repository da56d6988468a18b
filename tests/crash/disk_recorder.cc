#define FUSE_USE_VERSION 312
#include "tests/crash/disk_recorder.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>

#include "engine/base/handle.h"
#include "tests/crash/loop_device.h"

namespace hc {
namespace {

constexpr fuse_ino_t kDisk = 2;
constexpr const char* kDiskName = "disk";

// The one file of the FUSE file system, and the record of what was done to it.
struct Served {
  std::string disk;
  std::vector<DiskEvent> events;
  std::mutex mutex;

  void write(std::uint64_t offset, std::string data) {
    const std::lock_guard lock(mutex);
    std::memcpy(disk.data() + offset, data.data(), data.size());
    events.push_back({DiskEvent::Kind::write, offset, std::move(data), ""});
  }
  void flush() {
    const std::lock_guard lock(mutex);
    events.push_back({DiskEvent::Kind::flush, 0, "", ""});
  }
  void mark(const std::string& text) {
    const std::lock_guard lock(mutex);
    events.push_back({DiskEvent::Kind::mark, 0, "", text});
  }
};

Served& served(fuse_req_t request) { return *static_cast<Served*>(fuse_req_userdata(request)); }

struct stat attributes(fuse_ino_t inode, const Served& disk) {
  struct stat info {};
  info.st_ino = inode;
  info.st_nlink = 1;
  info.st_mode = inode == kDisk ? S_IFREG | 0600 : S_IFDIR | 0700;
  info.st_size = inode == kDisk ? static_cast<off_t>(disk.disk.size()) : 0;
  return info;
}

void on_lookup(fuse_req_t request, fuse_ino_t /*parent*/, const char* name) {
  if (std::strcmp(name, kDiskName) != 0) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  fuse_entry_param entry{};
  entry.ino = kDisk;
  entry.attr = attributes(kDisk, served(request));
  entry.attr_timeout = entry.entry_timeout = 3600;
  fuse_reply_entry(request, &entry);
}

void on_getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info* /*file*/) {
  const struct stat info = attributes(inode, served(request));
  fuse_reply_attr(request, &info, 3600);
}

void on_open(fuse_req_t request, fuse_ino_t /*inode*/, fuse_file_info* file) {
  file->direct_io = 1;  // nothing may linger, join or change its order between the loop device and us
  fuse_reply_open(request, file);
}

void on_read(fuse_req_t request, fuse_ino_t /*inode*/, std::size_t size, off_t offset, fuse_file_info* /*file*/) {
  const std::string& disk = served(request).disk;
  const std::size_t from = std::min(static_cast<std::size_t>(offset), disk.size());
  fuse_reply_buf(request, disk.data() + from, std::min(size, disk.size() - from));
}

void on_write(fuse_req_t request, fuse_ino_t /*inode*/, const char* bytes, std::size_t size, off_t offset,
              fuse_file_info* /*file*/) {
  Served& disk = served(request);
  if (static_cast<std::size_t>(offset) + size > disk.disk.size()) {
    fuse_reply_err(request, ENOSPC);
    return;
  }
  disk.write(static_cast<std::uint64_t>(offset), std::string(bytes, size));
  fuse_reply_write(request, size);
}

void on_fsync(fuse_req_t request, fuse_ino_t /*inode*/, int /*data_only*/, fuse_file_info* /*file*/) {
  served(request).flush();
  fuse_reply_err(request, 0);
}

// A discard, or zeros asked for without sending them.
void on_fallocate(fuse_req_t request, fuse_ino_t /*inode*/, int /*mode*/, off_t offset, off_t length,
                  fuse_file_info* /*file*/) {
  served(request).write(static_cast<std::uint64_t>(offset), std::string(static_cast<std::size_t>(length), '\0'));
  fuse_reply_err(request, 0);
}

fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops ops{};
  ops.lookup = on_lookup;
  ops.getattr = on_getattr;
  ops.open = on_open;
  ops.read = on_read;
  ops.write = on_write;
  ops.fsync = on_fsync;
  ops.fallocate = on_fallocate;
  return ops;
}

// The FUSE session and the thread that serves it.
class Server {
 public:
  static Result<std::unique_ptr<Server>> start(Served& disk, const fs::path& where) {
    const fuse_lowlevel_ops ops = operations();
    std::string name = "recorder";
    std::array<char*, 1> words = {name.data()};
    fuse_args arguments = FUSE_ARGS_INIT(1, words.data());
    fuse_session* session = fuse_session_new(&arguments, &ops, sizeof(ops), &disk);
    fuse_opt_free_args(&arguments);
    if (session == nullptr) return Error(Code::io, "libfuse makes no session");
    std::unique_ptr<Server> server(new Server(session));
    if (fuse_session_mount(session, where.c_str()) != 0) return Error(Code::io, "FUSE cannot be mounted");
    server->mounted_ = true;
    server->thread_ = std::thread([session] { fuse_session_loop(session); });
    return server;
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    if (mounted_) fuse_session_unmount(session_);  // which ends the loop
    if (thread_.joinable()) thread_.join();
    fuse_session_destroy(session_);
  }

 private:
  explicit Server(fuse_session* session) : session_(session) {}
  fuse_session* session_;
  bool mounted_ = false;
  std::thread thread_;
};

Status work_on(Served& disk, const std::string& kind, const std::string& options, const fs::path& scratch,
               const DiskWork& work) {
  const fs::path directory = scratch / "node";
  HC_TRY(make_dirs(directory));
  const UniqueFd file(::open((scratch / "fuse" / kDiskName).c_str(), O_RDWR | O_CLOEXEC));
  if (!file) return Error::from_errno(errno, "opening the recorded disk");
  const LoopDevice loop = HC_TRY(LoopDevice::attach(file.get()));
  Mounted mounted = HC_TRY(Mounted::mount(loop.path(), directory, kind, 0, options));
  const Status worked = work(directory, [&](const std::string& text) { disk.mark(text); });
  HC_TRY(mounted.unmount());
  return worked;
}

}  // namespace

std::string Recording::after() const {
  std::string disk = before;
  for (const DiskEvent& event : events)
    if (event.kind == DiskEvent::Kind::write) disk.replace(event.offset, event.data.size(), event.data);
  return disk;
}

Result<Recording> record_disk(std::string image, const std::string& kind, const std::string& options,
                              const fs::path& scratch, const DiskWork& work) {
  Recording recording;
  recording.before = image;
  Served disk;
  disk.disk = std::move(image);
  HC_TRY(make_dirs(scratch / "fuse"));
  const auto server = HC_TRY(Server::start(disk, scratch / "fuse"));
  const Status worked = work_on(disk, kind, options, scratch, work);
  HC_TRY(worked);
  recording.events = std::move(disk.events);
  return recording;
}

}  // namespace hc
