#include "engine/upgrade/source.h"

#include <algorithm>
#include <set>

#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/upgrade/history.h"
#include "engine/upgrade/parcel.h"
#include "engine/upgrade/source_fetch.h"

namespace hc {
namespace {

constexpr std::uint64_t kMostCommitBytes = 10 << 20;
constexpr std::string_view kKept = "honeycomb/kept/";

std::string pending_ref(const Target& target) { return "honeycomb/pending/" + target.name(); }
std::string kept_ref(const Target& target, const std::string& commit) {
  return std::string(kKept) + target.name() + "/" + commit;
}

// Where archives are unpacked.
fs::path unpack_dir(const Node& node) { return node.state / "unpack"; }

// "Not there" is an answer, not a failure.
Result<std::optional<std::string>> get_if_there(const std::string& url, std::uint64_t limit, const HttpLimits& limits,
                                                const StopToken& stop) {
  auto body = http_get(url, limit, limits, stop);
  if (body) return std::optional(std::move(body).value());
  if (body.error().code() == Code::invalid && body.error().text().find("not found") != std::string::npos)
    return std::optional<std::string>();
  return std::move(body).error();
}

std::string object_url(const std::string& url, const Commit& commit, std::string_view kind) {
  return url + "/objects/" + commit.hex().substr(0, 2) + "/" + commit.hex().substr(2) + "." + std::string(kind);
}

// The commit that a ref file names.
Result<Commit> commit_in(const std::string& content, const std::string& url) {
  auto commit = Commit::parse(trimmed(content));
  if (!commit) return std::move(commit).error().in("not an update repository: " + without_credentials(url));
  return commit;
}

Error nothing_called(const std::string& what, const Target& target, const std::vector<Remote>& remotes) {
  std::string text =
      "nothing is called " + quote(what) + " for " + target.name() + ": no version or ref of that name in the history";
  if (remotes.empty())
    return Error(Code::invalid, text + ", and no remote is set").with_hint("`hc-os remote add origin URL`");
  text += " or on";
  for (const Remote& remote : remotes) text += " " + remote.name;
  return Error(Code::invalid, text)
      .with_hint("`hc-os history` lists the versions of this node; ask the publisher for those of the remote");
}

}  // namespace

HttpLimits NodeSource::http_limits() const {
  HttpLimits limits;
  limits.connect_ms = settings_.connect_s * 1000;
  limits.stall_ms = settings_.stall_s * 1000;
  limits.attempts = settings_.attempts;
  limits.bytes_per_s = settings_.bytes_per_s();
  return limits;
}

ShortWays NodeSource::ways(const Target& target) const {
  const auto use = in_use.find(target.name());
  return {repository_, http_limits(), unpack_dir(node_),
          use == in_use.end() ? std::set<std::string>() : use->second.commits};
}

// Where one remote has `what`: the commits it stands for there (a name may be a version of the target and a ref of its
// own).
Result<std::vector<Commit>> NodeSource::look_on(const Remote& remote, const Target& target, const std::string& what,
                                                const StopToken& stop) const {
  std::vector<Commit> commits;
  if (Commit::looks_like(what)) {
    const Commit commit = HC_TRY(Commit::parse(what));
    const auto body =
        HC_TRY(get_if_there(object_url(remote.url, commit, "commit"), kMostCommitBytes, http_limits(), stop));
    if (body) commits.push_back(commit);
    return commits;
  }
  std::vector<std::string> names = {target.name() + "/" + what};
  if (what.find('/') != std::string::npos) names.push_back(what);
  for (const std::string& ref : names) {
    const std::string url = remote.url + "/refs/heads/" + ref;
    const auto body = HC_TRY(get_if_there(url, 4096, http_limits(), stop));
    if (!body) continue;
    commits.push_back(HC_TRY(commit_in(*body, url)));
  }
  return commits;
}

Result<std::vector<Commit>> NodeSource::look_here(const Target& target, const std::string& what) const {
  std::vector<Commit> commits;
  if (Commit::looks_like(what)) commits.push_back(HC_TRY(Commit::parse(what)));
  for (const Transaction& t : HC_TRY(History(records_).all())) {
    if (t.target != target || t.outcome != Outcome::confirmed || t.to.version != what) continue;
    if (auto commit = Commit::parse(t.to.commit)) commits.push_back(std::move(commit).value());
  }
  std::vector<Commit> complete;
  for (const Commit& commit : commits) {
    if (HC_TRY(repository_.is_complete(commit))) complete.push_back(commit);
  }
  return complete;
}

Result<Found> NodeSource::find(const Target& target, const std::string& what, const StopToken& stop) {
  if (names_payload_file(what)) {
    Found file = HC_TRY(ways(target).find_file(what));
    if (!target.is_os()) file.target = target;
    return file;
  }
  for (const std::string& part : split(what, '/')) HC_TRY(Version::parse(part).in("the name of what to deploy"));
  std::vector<Found> found;
  const auto add = [&](const std::vector<Commit>& commits, const std::string& url, const std::string& where) {
    for (const Commit& commit : commits) {
      if (std::none_of(found.begin(), found.end(), [&](const Found& f) { return f.commit == commit; }))
        found.push_back({commit, url, where, target});
    }
  };
  add(HC_TRY(look_here(target, what)), "", "this node's history");
  if (!found.empty() && Commit::looks_like(what)) return found.front();

  const std::vector<Remote> remotes = HC_TRY(Remotes(node_.lib, node_.etc).all());
  std::optional<Error> unreachable;
  for (const Remote& remote : remotes) {
    auto commits = look_on(remote, target, what, stop);
    if (commits) {
      add(*commits, remote.url, "remote " + remote.name);
    } else if (stop.requested()) {
      return std::move(commits).error();
    } else {
      unreachable = std::move(commits).error().in("remote " + remote.name);
    }
  }
  if (found.empty() && unreachable) return std::move(*unreachable);
  if (found.empty()) return nothing_called(what, target, remotes);
  if (found.size() == 1) return found.front();
  std::string text = quote(what) + " is ambiguous for " + target.name() + ":";
  for (const Found& f : found) text += " " + f.commit.brief() + " (" + f.where + ")";
  return Error(Code::invalid, text).with_hint("give the full commit that you mean");
}

Result<CommitObject> NodeSource::remote_object(const std::string& url, const Commit& commit,
                                               const StopToken& stop) const {
  if (is_payload_file(url)) {
    std::optional<CommitObject> in_file = HC_TRY(ways(Target::os()).object(url, commit, stop));
    return std::move(*in_file);
  }
  CommitObject object;
  object.bytes = HC_TRY(http_get(object_url(url, commit, "commit"), kMostCommitBytes, http_limits(), stop));
  const auto detached =
      HC_TRY(get_if_there(object_url(url, commit, "commitmeta"), kMostCommitBytes, http_limits(), stop));
  object.detached = detached.value_or("");
  return object;
}

Result<CommitObject> NodeSource::object(const Found& found, const StopToken& stop) const {
  const bool here = HC_TRY(repository_.has_commit(found.commit));
  if (here) return repository_.commit_object(found.commit);
  return remote_object(found.url, found.commit, stop);
}

Result<std::int64_t> NodeSource::known_good_time() const {
  std::int64_t newest = 0;
  for (const Transaction& t : HC_TRY(History(records_).all())) {
    const auto built = t.manifest.find("built_at");
    if (t.outcome == Outcome::confirmed && built != t.manifest.end() && built->is_number_integer())
      newest = std::max(newest, built->get<std::int64_t>());
  }
  return newest;
}

Result<TrustFacts> NodeSource::facts(const Target& target, const Commit& commit) const {
  const std::vector<Transaction> history = HC_TRY(History(records_).all());
  TrustFacts facts;
  facts.model = settings_.model;
  facts.now = clock_.wall_seconds();
  facts.newest_sequence = newest_confirmed_sequence(history, target);
  facts.in_history = was_confirmed(history, target, commit);
  for (const auto& [name, use] : in_use) facts.versions[name] = use.version;
  if (const auto use = in_use.find(target.name()); use != in_use.end()) {
    facts.newest_sequence = std::max(facts.newest_sequence, use->second.sequence);
    facts.in_history = facts.in_history || use->second.commits.contains(commit.hex());
  }
  facts.thresholds = settings_.thresholds;
  facts.known_good_time = HC_TRY(known_good_time());
  return facts;
}

Result<Verdict> NodeSource::judge_part(const Target& target, const Commit& commit, const Commit& whole) const {
  if (!HC_TRY(repository_.is_complete(whole))) {
    return Error(Code::unavailable, "commit " + commit.brief() + " came with the OS payload " + whole.brief() +
                                        ", which is no longer on this node, so it cannot be verified")
        .with_hint("deploy the version of " + target.name() + " by itself, or that version of the OS");
  }
  const Keyring keyring = HC_TRY(Keyring::load({node_.lib, node_.etc}));
  if (keyring.blocked.contains(commit)) {
    return Error(Code::untrusted, "commit " + commit.brief() + " is blocked: it must never run again")
        .with_hint("see blocked.d in /etc/honeycomb");
  }
  const CommitObject object = HC_TRY(repository_.commit_object(whole));
  Verdict verdict = HC_TRY(judge(Target::os(), whole, object));
  const std::vector<Parcel> parcels = HC_TRY(parcels_of(repository_, verdict.payload));
  const auto parcel =
      std::find_if(parcels.begin(), parcels.end(), [&](const Parcel& one) { return one.metadata.target == target; });
  if (parcel == parcels.end() || parcel->payload.commit() != commit)
    return Error(Code::untrusted, "commit " + commit.brief() + " is not what the OS payload " + whole.brief() +
                                      " brings for " + target.name());
  verdict.payload = parcel->payload;
  Manifest& manifest = verdict.manifest;
  const std::string os_version = manifest.version.text();
  manifest.kind = PayloadKind::peripheral;
  manifest.target = target;
  manifest.version = parcel->metadata.config_version;
  manifest.sequence = 0;  // that of the OS counts
  manifest.compatible = parcel->metadata.compatible;
  manifest.requires_versions = parcel->metadata.requires_versions;
  manifest.carries.clear();
  TrustFacts known = HC_TRY(facts(target, commit));
  // They come together, so they may require one another.
  for (const Parcel& one : parcels) known.versions[one.metadata.target.name()] = one.metadata.config_version.text();
  known.versions["os"] = os_version;
  HC_TRY(check_fits(manifest, known).in(target.name() + " " + manifest.version.text()));
  return verdict;
}

Result<Verdict> NodeSource::judge(const Target& target, const Commit& commit, const CommitObject& object) const {
  const bool here = HC_TRY(repository_.has_commit(commit));
  const std::optional<Commit> whole = here ? HC_TRY(repository_.part_of(commit)) : std::optional<Commit>();
  if (whole && !target.is_os()) return judge_part(target, commit, *whole);
  TrustFacts facts = HC_TRY(this->facts(target, commit));
  Keyring keyring = HC_TRY(Keyring::load({node_.lib, node_.etc}));
  Verdict verdict =
      HC_TRY(TrustPolicy(std::move(keyring), std::move(facts)).verify(commit, object.bytes, object.detached));
  if (verdict.manifest.target != target) {
    return Error(Code::invalid, "commit " + commit.brief() + " is a payload for " + verdict.manifest.target.name() +
                                    ", not for " + target.name())
        .with_hint("deploy it with `--target " + verdict.manifest.target.name() + "`");
  }
  return verdict;
}

Result<Verdict> NodeSource::verify(const Transaction& t, const StopToken& stop) {
  const Commit commit = HC_TRY(Commit::parse(t.to.commit));
  const bool here = HC_TRY(repository_.has_commit(commit));
  CommitObject object;
  std::optional<CommitObject> by_delta;
  if (!here) by_delta = HC_TRY(ways(t.target).object(t.url, commit, stop));
  const bool a_copy = here || by_delta;
  if (here) object = HC_TRY(repository_.commit_object(commit));
  if (!here) object = by_delta ? *by_delta : HC_TRY(remote_object(t.url, commit, stop));
  auto verdict = judge(t.target, commit, object);
  if (!verdict && a_copy && !t.url.empty() && verdict.error().code() == Code::untrusted) {
    // Signatures lie beside the commit: it may have been signed again since it came here, or since the delta was made.
    object = HC_TRY(remote_object(t.url, commit, stop));
    verdict = judge(t.target, commit, object);
  }
  if (!verdict) return std::move(verdict).error();
  HC_TRY(repository_.put_commit(verdict->payload, object));
  HC_TRY(repository_.set_ref(pending_ref(t.target), commit));
  return verdict;
}

// New objects are written unpacked; what the disk must take is known only where the commit says its sizes.
Status NodeSource::room_for(const CommitObject& object) {
  const TreeSize size = HC_TRY(repository_.missing(object));
  if (!size.known) return ok;
  const fs::path where = node_.sysroot / "ostree/repo";
  const auto lacking = [&](const Space& have) { return have.bytes < size.bytes || have.inodes < size.objects; };
  Space have = HC_TRY(free_space(where));
  if (lacking(have)) {
    HC_TRY(repository_.prune());
    have = HC_TRY(free_space(where));
  }
  if (!lacking(have)) return ok;
  const bool bytes = have.bytes < size.bytes;
  const std::string need = bytes ? human_bytes(size.bytes) : std::to_string(size.objects) + " inodes";
  const std::string free = bytes ? human_bytes(have.bytes) : std::to_string(have.inodes);
  return Error(Code::no_space, "not enough room in " + where.string() + ": need " + need + ", have " + free)
      .with_hint("keep fewer versions ([slots] keep_versions, `hc-os unpin`), run `hc-os gc`, then deploy again");
}

Status NodeSource::fetch(const Transaction& t, const VerifiedPayload& payload, const ProgressFn& progress,
                         const StopToken& stop) {
  if (HC_TRY(repository_.is_complete(payload.commit()))) return ok;
  if (t.url.empty()) {
    return Error(Code::unavailable, "the content of commit " + payload.commit().brief() + " is no longer on this node")
        .with_hint("add the remote that has it (`hc-os remote add`) and deploy again");
  }
  const CommitObject object = HC_TRY(repository_.commit_object(payload.commit()));
  HC_TRY(room_for(object));
  const bool complete = HC_TRY(ways(t.target).fetch(t.url, payload, progress, stop));
  if (complete) return ok;
  PullLimits limits;
  limits.stall_ms = settings_.stall_s * 1000;
  limits.bytes_per_s = settings_.bytes_per_s();
  return repository_.pull(t.url, payload, limits, progress, stop);
}

Status NodeSource::keep(const Transaction& t) {
  const Commit commit = HC_TRY(Commit::parse(t.to.commit));
  HC_TRY(repository_.set_ref(kept_ref(t.target, t.to.commit), commit));
  HC_TRY(drop(t));
  const bool surplus = HC_TRY(let_go_of_surplus(t.to.commit));
  // The version is kept, which is what counts; room can be made another time.
  const auto freed = surplus ? repository_.prune() : Result<std::uint64_t>(0);
  if (!freed) log(Level::warning, "removing versions that are no longer kept: " + freed.error().text());
  return ok;
}

Status NodeSource::drop(const Transaction& t) {
  // Where the power went while an archive was unpacked.
  HC_TRY(remove_tree(unpack_dir(node_)));
  // A staged tree shares its files with the repository: what was damaged in it is damaged there, and would be found
  // damaged by every further try.
  if (t.failure && t.failure->step == "check") {
    const Commit commit = HC_TRY(Commit::parse(t.to.commit));
    HC_TRY(repository_.drop_damaged(commit, nullptr, StopToken()));
  }
  return repository_.set_ref(pending_ref(t.target), std::nullopt);
}

Result<bool> NodeSource::let_go_of_surplus(const std::string& newest) {
  std::map<Target, std::vector<std::string>> recent;
  std::vector<Transaction> history = HC_TRY(History(records_).all());
  std::reverse(history.begin(), history.end());
  for (const Transaction& t : history) {
    std::vector<std::string>& commits = recent[t.target];
    if (t.outcome != Outcome::confirmed || commits.size() >= settings_.keep_versions) continue;
    if (std::find(commits.begin(), commits.end(), t.to.commit) == commits.end()) commits.push_back(t.to.commit);
  }
  std::set<std::string> wanted = {newest};
  for (const auto& [target, use] : in_use) wanted.insert(use.commits.begin(), use.commits.end());
  for (const auto& [target, commits] : recent) wanted.insert(commits.begin(), commits.end());
  bool any = false;
  for (const auto& [ref, commit] : HC_TRY(repository_.refs(std::string(kKept)))) {
    if (wanted.contains(commit.hex())) continue;
    HC_TRY(repository_.set_ref(ref, std::nullopt));
    any = true;
  }
  return any;
}

Result<std::uint64_t> NodeSource::collect_garbage() {
  HC_TRY(let_go_of_surplus(""));
  return repository_.prune();
}

}  // namespace hc
