#include "engine/upgrade/snapshots.h"

#include <fcntl.h>
#include <linux/fs.h>

#include <cerrno>
#include <cstdio>

#include "engine/base/json_field.h"
#include "engine/base/process.h"

namespace hc {
namespace {

constexpr const char* kList = "snapshot.json";
constexpr const char* kNone = "none";
constexpr std::int64_t kCopyTimeoutMs = 6LL * 3600 * 1000;

// Shares the blocks where the file system can; owners, modes, times, links, holes and attributes stay.
Status copy_tree(const fs::path& from, const fs::path& to) {
  CommandOptions options;
  options.timeout_ms = kCopyTimeoutMs;
  const CommandResult result = HC_TRY(run_command(
      {"cp", "--archive", "--reflink=auto", "--sparse=auto", "--no-target-directory", "--", from.string(), to.string()},
      options));
  if (result.status == 0) return ok;
  const bool full = result.errors.find("No space left") != std::string::npos;
  return Error(full ? Code::no_space : Code::io, "copying " + from.string() + ": " + result.errors);
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

struct Kept {
  std::uint64_t transaction = 0;
  std::vector<std::pair<std::string, bool>> paths;  // and whether there was something
};

Result<std::optional<Kept>> read_list(const fs::path& place) {
  const std::optional<std::string> text = HC_TRY(read_file_if_exists(place / kList, 1 << 20));
  if (!text) return std::optional<Kept>();
  const Json json = HC_TRY(parse_json(*text).in((place / kList).string()));
  if (!json.is_object() || !json.contains("paths") || !json["paths"].is_array())
    return Error(Code::invalid, (place / kList).string() + " is no list of a snapshot");
  Kept kept;
  HC_TRY(read_field(json, "transaction", kept.transaction));
  for (const Json& entry : json["paths"]) {
    std::pair<std::string, bool> path;
    if (!entry.is_object()) return Error(Code::invalid, (place / kList).string() + " is no list of a snapshot");
    HC_TRY(read_field(entry, "path", path.first));
    HC_TRY(read_field(entry, "present", path.second));
    kept.paths.push_back(std::move(path));
  }
  return std::optional(std::move(kept));
}

Status rename_over(const fs::path& from, const fs::path& to) {
  const bool there = is_there(to);
  const int done = ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), there ? RENAME_EXCHANGE : 0);
  if (done != 0) return Error::from_errno(errno, "putting " + to.string() + " back");
  return sync_dir(to.parent_path());
}

Result<std::string> installation(Machine& m, const std::optional<Slot>& slot) {
  if (!slot) return std::string(kNone);
  const std::optional<SlotContent> content = HC_TRY(m.slots.content(*slot));
  return content ? content->id : std::string(kNone);
}

}  // namespace

Result<fs::path> Snapshots::on_this_node(const std::string& path) const {
  const fs::path normal = fs::path(path).lexically_normal();
  const fs::path below = normal.lexically_relative("/var");
  if (below.empty() || below == "." || *below.begin() == "..")
    return Error(Code::invalid, "only what is below /var can be kept in a snapshot, not " + path);
  // A link on the way, which a hook of another user may have made, would lead us elsewhere with our rights.
  std::error_code error;
  const fs::path var = fs::canonical(var_, error);
  const fs::path parent = fs::weakly_canonical(var / below.parent_path(), error);
  if (error || parent != (var / below.parent_path()).lexically_normal())
    return Error(Code::invalid,
                 "the way to " + path + " goes over a symbolic link, so it cannot be kept in a snapshot");
  return var / below;
}

Status Snapshots::keep(const Target& target, const std::string& version, const std::vector<std::string>& paths,
                       std::uint64_t transaction) {
  if (paths.empty()) return ok;
  const fs::path done = place(target, version);
  const std::optional<Kept> kept = HC_TRY(read_list(done));
  if (kept && kept->transaction == transaction) return ok;
  const fs::path part = done.string() + ".part";
  HC_TRY(remove_tree(part));
  HC_TRY(make_dirs(part, 0700));
  Json list = {{"format", 1}, {"transaction", transaction}, {"paths", Json::array()}};
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const fs::path source = HC_TRY(on_this_node(paths[i]));
    const bool present = is_there(source);
    if (present) HC_TRY(copy_tree(source, part / std::to_string(i)));
    list["paths"].push_back({{"path", paths[i]}, {"present", present}});
  }
  HC_TRY(write_atomically(part / kList, dump_json(list), 0600));
  HC_TRY(sync_filesystem(part));
  // By exchange, so that a whole snapshot stands there at any time.
  HC_TRY(rename_over(part, done));
  return remove_tree(part);
}

Status Snapshots::put_back(const fs::path& copied, const fs::path& path, bool present) {
  if (!present) {
    HC_TRY(remove_tree(path));
    return ok;
  }
  HC_TRY(make_dirs(path.parent_path()));
  const fs::path fresh = path.parent_path() / ("." + path.filename().string() + ".honeycomb-restore");
  HC_TRY(remove_tree(fresh));
  HC_TRY(copy_tree(copied, fresh));
  HC_TRY(sync_filesystem(fresh.parent_path()));
  HC_TRY(rename_over(fresh, path));
  return remove_tree(fresh);
}

Status Snapshots::bring_back(const Target& target, const std::string& version,
                             std::optional<std::uint64_t> transaction) {
  const fs::path from = place(target, version);
  const std::optional<Kept> kept = HC_TRY(read_list(from));
  if (!kept || (transaction && kept->transaction != *transaction)) return ok;
  for (std::size_t i = 0; i < kept->paths.size(); ++i) {
    const fs::path path = HC_TRY(on_this_node(kept->paths[i].first));
    HC_TRY(put_back(from / std::to_string(i), path, kept->paths[i].second).in("restoring the snapshot"));
  }
  return ok;
}

Status Snapshots::drop_others(const Target& target, const std::set<std::string>& versions) {
  for (const std::string& entry : HC_TRY(list_dir(directory_ / target.name())))
    if (!versions.contains(entry)) HC_TRY(remove_tree(directory_ / target.name() / entry));
  return ok;
}

Result<SnapshotPlan> snapshot_plan(const Transaction& t, Machine& m) {
  SnapshotPlan plan;
  plan.from = HC_TRY(installation(m, t.from.slot));
  plan.to = HC_TRY(installation(m, t.to.slot));
  std::set<std::string> paths;
  for (const Side* side : {&t.from, &t.to}) {
    if (!side->slot || side->commit.empty()) continue;
    const PeripheralMetadata metadata = HC_TRY(m.metadata(*side));
    paths.insert(metadata.snapshot.begin(), metadata.snapshot.end());
  }
  plan.paths.assign(paths.begin(), paths.end());
  return plan;
}

Status drop_old_snapshots(const Target& target, Machine& m) {
  std::set<std::string> wanted;
  for (const Slot slot : {Slot::a, Slot::b}) wanted.insert(HC_TRY(installation(m, slot)));
  return m.snapshots->drop_others(target, wanted);
}

}  // namespace hc
