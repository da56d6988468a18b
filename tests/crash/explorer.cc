#include "tests/crash/explorer.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>

#include "engine/base/process.h"
#include "tests/crash/loop_device.h"

namespace hc {
namespace {

constexpr std::size_t kMostFaults = 40;
constexpr std::size_t kMostKept = 5;
constexpr std::size_t kStatesOfSecondCut = 10;

std::string text_of(const DiskState& state, const std::string& fault) {
  return "epoch " + std::to_string(state.epoch) + ", " + std::string(state.kind) + " of " +
         std::to_string(state.pieces.size()) + " writes" + (state.told.empty() ? "" : " after " + state.told) + ": " +
         fault;
}

constexpr const char* kBootId = "/proc/sys/kernel/random/boot_id";

std::string random_boot_id() {
  std::random_device random;
  std::string id;
  for (const int digits : {8, 4, 4, 4, 12}) {
    id += id.empty() ? "" : "-";
    for (int i = 0; i < digits; ++i) id += "0123456789abcdef"[random() % 16];
  }
  return id + "\n";
}

// Programs know by the kernel's boot id that there was a power cut, so each boot needs one of its own. Done by a file
// that is mounted over the kernel's.
Status new_boot(const fs::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  const std::string id = random_boot_id();
  if (!fd || ::pwrite(fd.get(), id.data(), id.size(), 0) < 0) return Error::from_errno(errno, "writing a boot id");
  return ok;
}
Status own_boot_id(const fs::path& scratch) {
  HC_TRY(make_dirs(scratch));
  HC_TRY(new_boot(scratch / "boot_id"));
  if (::mount((scratch / "boot_id").c_str(), kBootId, nullptr, MS_BIND, nullptr) == 0) return ok;
  return Error::from_errno(errno, "mounting a boot id");
}

// The kernel's checksums refused a block that GRUB would read.
bool only_unreadable(const BootSight& sight) {
  const std::string text = sight.fault + sight.first.fault + (sight.fallback ? sight.fallback->fault : "");
  return text.find("Bad message") != std::string::npos || text.find("needs cleaning") != std::string::npos;
}

}  // namespace

// A disk in memory with a loop device on it.
struct StateLooker::Disk {
  UniqueFd file;
  char* bytes = nullptr;
  std::size_t size = 0;
  std::optional<LoopDevice> loop;

  static Result<std::unique_ptr<Disk>> make(const std::string& content) {
    auto disk = std::make_unique<Disk>();
    disk->size = content.size();
    disk->file = UniqueFd(::memfd_create("disk", MFD_CLOEXEC));
    if (!disk->file || ::ftruncate(disk->file.get(), static_cast<off_t>(content.size())) != 0)
      return Error::from_errno(errno, "making a disk in memory");
    void* map = ::mmap(nullptr, content.size(), PROT_READ | PROT_WRITE, MAP_SHARED, disk->file.get(), 0);
    if (map == MAP_FAILED) return Error::from_errno(errno, "mapping a disk in memory");
    disk->bytes = static_cast<char*>(map);
    std::memcpy(disk->bytes, content.data(), content.size());
    disk->loop = HC_TRY(LoopDevice::attach(disk->file.get()));
    return disk;
  }
  ~Disk() {
    if (bytes != nullptr) ::munmap(bytes, size);
  }
  Disk() = default;
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // Takes back what mounting and resuming wrote.
  Status become(const std::string& base, const DiskPages& pages) {
    for (std::size_t at = 0; at < size; at += kDiskPage)
      if (std::memcmp(bytes + at, base.data() + at, kDiskPage) != 0)
        std::memcpy(bytes + at, base.data() + at, kDiskPage);
    for (const auto& [number, page] : pages) std::memcpy(bytes + number * kDiskPage, page.data(), page.size());
    return loop->forget();
  }
};

struct StateLooker::Done::Table {
  static constexpr std::size_t kPlaces = 1 << 16;
  std::array<std::atomic<std::uint64_t>, kPlaces> hashes;
  std::atomic<std::size_t> count;
  std::atomic<std::size_t> second;
};

StateLooker::Done::Done(std::size_t most)
    : most_(most),
      table_(static_cast<Table*>(
          ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
StateLooker::Done::~Done() { ::munmap(table_, sizeof(Table)); }

bool StateLooker::Done::take(std::uint64_t hash) {
  if (table_->count >= most_) return false;
  hash |= 1U;  // 0 is a free place
  for (std::size_t place = hash % Table::kPlaces;; place = (place + 1) % Table::kPlaces) {
    std::uint64_t there = 0;
    if (table_->hashes.at(place).compare_exchange_strong(there, hash)) return ++table_->count <= most_;
    if (there == hash) return false;
  }
}

bool StateLooker::Done::take_second(std::size_t most) { return table_->second < most && table_->second++ < most; }

StateLooker::StateLooker(const Exploration& exploration, const Recording& recording, const NodeChecks& checks,
                         Done& done, fs::path scratch)
    : exploration_(exploration), checks_(checks), done_(done), scratch_(std::move(scratch)), base_(recording) {}

StateLooker::~StateLooker() = default;

void StateLooker::note(const DiskState& state, const std::vector<std::string>& faults, const std::string& when,
                       Findings& findings) const {
  if (faults.empty()) return;
  ++findings.violating;
  for (const std::string& fault : faults)
    if (findings.faults.size() < kMostFaults) findings.faults.push_back(when + text_of(state, fault));
  if (exploration_.keep.empty() || findings.violating > kMostKept) return;
  std::string disk = base_.disk();
  for (const auto& [number, page] : base_.pages_of(state)) disk.replace(number * kDiskPage, page.size(), page);
  const std::string name = scratch_.filename().string() + "-" + std::to_string(findings.violating);
  if (!make_dirs(exploration_.keep) || !write_atomically(exploration_.keep / name, disk)) return;
}

// What the kernel refuses for a checksum, GRUB reads all the same: its own code has the last word.
BootSight StateLooker::sight_by_grub() const {
  const fs::path copy = scratch_ / "grub";
  static_cast<void>(remove_tree(copy));
  const fs::path disk = scratch_ / "grub-disk";
  static_cast<void>(write_atomically(disk, std::string_view(disk_->bytes, disk_->size)));
  const auto fetch = [&](const std::string& file) {
    const fs::path to = copy / fs::path(file).relative_path();
    if (make_dirs(to.parent_path()))
      static_cast<void>(run_command({"grub-fstest", disk.string(), "cp", "(loop0)" + file, to.string()}));
  };
  for (const std::string& file : checks_.boot_files()) fetch(file);
  for (const std::string& file : checks_.boot_files_of(copy)) fetch(file);
  return checks_.bootloader(copy);
}

Status StateLooker::look(const DiskState& state, Findings& findings) {
  const fs::path directory = scratch_ / "node";
  HC_TRY(make_dirs(directory));
  if (!disk_) disk_ = HC_TRY(Disk::make(base_.disk()));
  base_.advance_to(state.epoch);
  HC_TRY(disk_->become(base_.disk(), base_.pages_of(state)));
  ++findings.looked_at;
  ++findings.kinds[std::string(state.kind)];
  const std::string& kind = exploration_.file_system;
  BootSight sight;
  {
    auto mounted = Mounted::mount(disk_->loop->path(), directory, kind, MS_RDONLY, exploration_.sight_options);
    if (!mounted) {
      note(state, {"the bootloader cannot read the disk: " + mounted.error().text()}, "", findings);
      return ok;
    }
    sight = checks_.bootloader(directory);
    HC_TRY(mounted->unmount());
  }
  if (!sight.good() && kind == "ext4") {
    ++findings.asked_grub;
    // Of plain libostree only what is beyond doubt counts.
    if (!checks_.boot_files().empty()) {
      sight = sight_by_grub();
    } else if (only_unreadable(sight)) {
      return ok;
    }
  }
  auto mounted = Mounted::mount(disk_->loop->path(), directory, kind, 0, exploration_.options);
  if (!mounted) {
    note(state, {"the kernel cannot mount the disk: " + mounted.error().text()}, "", findings);
    return ok;
  }
  const Picture picture = picture_of(directory);
  std::vector<std::string> faults = checks_.kernel(sight, picture, state.told);
  const std::vector<std::string> damaged = damaged_records(directory, picture);
  faults.insert(faults.end(), damaged.begin(), damaged.end());
  note(state, faults, "", findings);
  bool resumed = false;
  const std::uint64_t seen = hash_of(picture) ^ hash_of_bytes(sight.first.name + "|" + state.told);
  if (!exploration_.resume.empty() && faults.empty() && done_.take(seen)) {
    resumed = true;
    ++findings.resumed;
    HC_TRY(resume(state, directory, faults));
    note(state, faults, "after resuming, ", findings);
  }
  HC_TRY(mounted->unmount());
  if (resumed && faults.empty() && done_.take_second(exploration_.second_cuts)) HC_TRY(cut_again(state, findings));
  return ok;
}

// What a boot does, and what must be true then.
Status StateLooker::resume(const DiskState& state, const fs::path& root, std::vector<std::string>& faults) {
  CommandOptions options;
  options.environment["NODE"] = root;
  HC_TRY(new_boot(kBootId));
  const auto ran = run_command(exploration_.resume, options);
  if (!ran) {
    faults.push_back(ran.error().text());
    return ok;
  }
  if (ran->errors.find("Sanitizer") != std::string::npos)
    faults.push_back("it crashed: " + ran->errors.substr(0, 2000));
  const Picture picture = picture_of(root);
  const BootSight sight = checks_.bootloader(root);
  faults = checks_.kernel(sight, picture, state.told);
  if (sight.fallback) faults.emplace_back("it is still on trial: " + ran->errors.substr(0, 500));
  for (const std::string& left : leftovers(picture)) faults.push_back(left + " (" + ran->errors.substr(0, 300) + ")");
  return ok;
}

// The power goes a second time, while the node resumes from `state`.
Status StateLooker::cut_again(const DiskState& state, Findings& findings) {
  HC_TRY(disk_->become(base_.disk(), base_.pages_of(state)));
  Exploration inner = exploration_;
  inner.second_cuts = 0;
  inner.resumes = kStatesOfSecondCut;
  const auto work = [&](const fs::path& root, const MarkFn& /*mark*/) -> Status {
    CommandOptions options;
    options.environment["NODE"] = root;
    HC_TRY(new_boot(kBootId));
    HC_TRY(run_command(exploration_.resume, options));
    return ok;
  };
  const Recording again = HC_TRY(record_disk(std::string(disk_->bytes, disk_->size), exploration_.file_system,
                                             exploration_.options, scratch_ / "again", work));
  StatePlan plan = plan_states(again, 4 * kStatesOfSecondCut, exploration_.seed + static_cast<unsigned>(state.epoch));
  Done done(kStatesOfSecondCut);
  StateLooker looker(inner, again, checks_, done, scratch_ / "second");
  Findings found;
  for (DiskState& one : plan.states) {
    one.told = state.told;
    HC_TRY(looker.look(one, found));
  }
  ++findings.cut_twice;
  findings.second_states += found.looked_at;
  findings.violating += found.violating;
  for (const std::string& fault : found.faults)
    if (findings.faults.size() < kMostFaults) findings.faults.push_back("second cut after " + text_of(state, fault));
  return ok;
}

Result<Findings> look_at_all(const Exploration& exploration, const Recording& recording, const NodeChecks& checks,
                             const StatePlan& plan) {
  StateLooker::Done done(exploration.resumes);
  std::vector<pid_t> children;
  const auto report = [&](unsigned worker) { return exploration.scratch / ("found-" + std::to_string(worker)); };
  for (unsigned worker = 0; worker < exploration.workers; ++worker) {
    const pid_t child = ::fork();
    if (child < 0) return Error::from_errno(errno, "starting a worker");
    if (child != 0) {
      children.push_back(child);
      continue;
    }
    Findings mine;
    const fs::path scratch = exploration.scratch / ("worker-" + std::to_string(worker));
    Status status = own_mounts();
    if (status) status = own_boot_id(scratch);
    {
      StateLooker looker(exploration, recording, checks, done, scratch);
      for (std::size_t i = worker; status && i < plan.states.size(); i += exploration.workers)
        status = looker.look(plan.states[i], mine);
    }
    if (status) status = write_atomically(report(worker), dump_json(mine.json()));
    if (!status) std::fprintf(stderr, "explorer: %s\n", status.error().text().c_str());
    ::_exit(status ? 0 : 1);
  }
  bool good = true;
  for (const pid_t child : children) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  if (!good) return Error(Code::internal, "a worker of the explorer failed");
  Findings all;
  for (unsigned worker = 0; worker < exploration.workers; ++worker) {
    const std::string text = HC_TRY(read_file(report(worker)));
    const Json json = HC_TRY(parse_json(text));
    all.add(Findings::parse(json));
  }
  return all;
}

}  // namespace hc
