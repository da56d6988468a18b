#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/net/http.h"
#include "engine/store/repository.h"
#include "engine/upgrade/machine.h"
#include "engine/upgrade/node.h"
#include "engine/upgrade/remotes.h"
#include "engine/upgrade/settings.h"

namespace hc {

struct ShortWays;

// What a name stands for.
struct Found {
  Commit commit;
  std::string url;    // of the remote that has it; empty: the node's repository has all of it
  std::string where;  // for people: "the history", "remote origin"
  Target target;      // as asked for; but the OS is what nobody asks for, so a payload file says then what it is for
};

// Whether `what` is the path of a payload in a file: FILE.hcb, or FILE.tar.gz with FILE.tar.gz.sig beside it.
bool names_payload_file(std::string_view what);

// How far a payload is on this node already.
enum class Held { no, content, in_use };

// PayloadSource on the node's own repository and its remotes. Refs in that repository:
//   honeycomb/pending/TARGET           what a transaction is fetching
//   honeycomb/kept/TARGET/COMMIT       versions that the history can return to
//   honeycomb/pinned/COMMIT            kept whatever keep_versions says
class NodeSource final : public PayloadSource {
 public:
  NodeSource(const Node& node, const Settings& settings, Repository& repository, Records& records, Clock& clock)
      : node_(node), settings_(settings), repository_(repository), records_(records), clock_(clock) {}

  // Finds the one commit that `what` (commit, ref or version) means for `target`: in the history first, then on each
  // remote. Fails with Code::invalid where nothing or more than one commit matches (naming them), Code::unavailable
  // where a remote did not answer and nobody else knows the name.
  Result<Found> find(const Target& target, const std::string& what, const StopToken& stop);

  // The newest time that has surely passed: when the newest confirmed version was built, seconds since 1970.
  Result<std::int64_t> known_good_time() const;
  // The gate, with what this node knows now.
  Result<Verdict> judge(const Target& target, const Commit& commit, const CommitObject& object) const;
  Result<CommitObject> object(const Found& found, const StopToken& stop) const;
  // Bytes that a fetch would bring, where the commit says so.
  Result<TreeSize> missing(const CommitObject& object) const { return repository_.missing(object); }

  // What the slots of each target hold now; set by the upgrader.
  struct InUse {
    std::string version;
    std::uint64_t sequence = 0;
    std::set<std::string> commits;  // of both slots
  };
  std::map<std::string, InUse> in_use;

  Result<Verdict> verify(const Transaction& t, const StopToken& stop) override;
  Status fetch(const Transaction& t, const VerifiedPayload& payload, const ProgressFn& progress,
               const StopToken& stop) override;
  Status keep(const Transaction& t) override;
  Status drop(const Transaction& t) override;

  // Lets go of versions beyond keep_versions (never of one in a slot, pinned or pending) and removes what nothing
  // needs. Bytes freed.
  // keep() does so too.
  Result<std::uint64_t> collect_garbage();

 private:
  HttpLimits http_limits() const;
  ShortWays ways(const Target& target) const;
  Result<std::vector<Commit>> look_here(const Target& target, const std::string& what) const;
  Result<std::vector<Commit>> look_on(const Remote& remote, const Target& target, const std::string& what,
                                      const StopToken& stop) const;
  Result<TrustFacts> facts(const Target& target, const Commit& commit) const;
  // For a commit that Repository::part() cut out of an OS payload: it is judged by that payload.
  Result<Verdict> judge_part(const Target& target, const Commit& commit, const Commit& whole) const;
  Result<CommitObject> remote_object(const std::string& url, const Commit& commit, const StopToken& stop) const;
  Status room_for(const CommitObject& object);
  // Deletes the refs of surplus versions; `newest` is not in the history yet. True where there were any.
  Result<bool> let_go_of_surplus(const std::string& newest);

  const Node& node_;
  const Settings& settings_;
  Repository& repository_;
  Records& records_;
  Clock& clock_;
};

}  // namespace hc
