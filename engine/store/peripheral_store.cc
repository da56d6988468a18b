#include "engine/store/peripheral_store.h"

#include <unistd.h>

#include <cerrno>

#include "engine/store/commit_walk.h"
#include "engine/store/compare_tree.h"
#include "engine/store/tree_space.h"

namespace hc {
namespace {

constexpr const char* kCheckouts = "checkouts";
constexpr std::uint64_t kOverheadInodes = 16;

}  // namespace

PeripheralStore::PeripheralStore(fs::path directory, Repository& repository)
    : directory_(std::move(directory)), repository_(repository), links_(directory_, kCheckouts) {}

Result<std::unique_ptr<PeripheralStore>> PeripheralStore::open(const fs::path& directory, Repository& repository) {
  HC_TRY(make_dirs(directory / kCheckouts));
  return std::unique_ptr<PeripheralStore>(new PeripheralStore(directory, repository));
}

Result<std::optional<SlotContent>> PeripheralStore::content(Slot slot) {
  const std::optional<std::string> id = HC_TRY(links_.id(slot));
  if (!id) return std::optional<SlotContent>();
  const Commit commit = *commit_of_installation(*id);
  return std::optional(SlotContent{*id, commit, repository_.version(commit), links_.root(*id), 0});
}

Result<SlotSpace> PeripheralStore::space_for(const VerifiedPayload& payload) {
  TreeSpace space;
  const auto add = [&](const CommitEntry& entry) { return space.add(repository_, entry); };
  HC_TRY(CommitWalk(repository_.raw(), StopToken()).run(payload.commit(), "", add));
  const Space free = HC_TRY(free_space(directory_));
  return SlotSpace{{{directory_, space.bytes, space.inodes + kOverheadInodes, free}}};
}

Result<SlotContent> PeripheralStore::stage(Slot slot, const VerifiedPayload& payload, const ProgressFn& progress,
                                           const StopToken& stop) {
  if (stop.requested()) return Error(Code::cancelled, "stopped on request");
  const Commit& commit = payload.commit();
  const bool complete = HC_TRY(repository_.is_complete(commit));
  if (!complete) return Error(Code::io, "commit " + commit.brief() + " is not here whole");
  HC_TRY(links_.remember(slot, commit));
  HC_TRY(collect());
  if (progress) progress({"installing", 0, 0, false});
  std::string id;
  std::error_code error;
  for (unsigned serial = 0; id.empty() || fs::exists(fs::symlink_status(links_.root(id), error)); ++serial)
    id = commit.hex() + "." + std::to_string(serial);
  HC_TRY(repository_.checkout(commit, "", links_.root(id)));
  HC_TRY(links_.point(slot, id));
  HC_TRY(hold());
  return SlotContent{id, commit, repository_.version(commit), links_.root(id), 0};
}

Status PeripheralStore::check(Slot slot, const Commit& commit, const ProgressFn& progress, const StopToken& stop) {
  const std::optional<std::string> id = HC_TRY(links_.id(slot));
  if (!id || commit_of_installation(*id) != commit)
    return Error(Code::io, "slot " + std::string(name(slot)) + " does not hold commit " + commit.brief());
  const auto nothing = [](const std::string&) { return false; };
  return compare_tree(repository_, commit, links_.root(*id), nothing, progress, stop);
}

Status PeripheralStore::restore(Slot slot, const std::optional<std::string>& id) {
  HC_TRY(links_.point(slot, id));
  HC_TRY(links_.forget(slot));
  HC_TRY(collect());
  return ok;
}

Result<std::vector<std::string>> PeripheralStore::release() {
  for (const Slot slot : {Slot::a, Slot::b}) HC_TRY(links_.forget(slot));
  return collect();
}

Status PeripheralStore::hold() {
  const std::set<std::string> kept = HC_TRY(links_.kept());
  return hold_commits(repository_, directory_.filename().string(), kept);
}

Result<std::vector<std::string>> PeripheralStore::collect() {
  std::vector<std::string> stuck = HC_TRY(links_.sweep({}));
  HC_TRY(hold());
  return stuck;
}

Result<std::optional<Slot>> PeripheralStore::active() {
  std::error_code error;
  const fs::path target = fs::read_symlink(directory_ / "active", error);
  if (error == std::errc::no_such_file_or_directory) return std::optional<Slot>();
  if (error) return Error::from_errno(error.value(), "reading the link " + (directory_ / "active").string());
  const Slot slot = HC_TRY(parse_slot(target.string()).in("reading the link " + (directory_ / "active").string()));
  return std::optional(slot);
}

Status PeripheralStore::set_active(std::optional<Slot> slot) {
  const fs::path link = directory_ / "active";
  if (!slot) {
    if (::unlink(link.c_str()) != 0 && errno != ENOENT) return Error::from_errno(errno, "removing " + link.string());
    return sync_dir(directory_);
  }
  const std::optional<std::string> id = HC_TRY(links_.id(*slot));
  if (!id) return Error(Code::invalid, "slot " + std::string(name(*slot)) + " is empty and cannot be used");
  return replace_symlink(link, std::string(name(*slot)));
}

}  // namespace hc
