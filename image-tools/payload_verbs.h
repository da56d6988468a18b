#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/json.h"
#include "engine/base/progress.h"
#include "engine/base/stop.h"
#include "engine/store/repository.h"
#include "image-tools/signers.h"

// The verbs of hc-payload. Each one either fails and has changed nothing that counts, or gives a report.
namespace hc {

// What a verb has to say: `json` with --json, else `text`.
struct Report {  // NOLINT(bugprone-exception-escape): nlohmann's own move, which only asserts
  Json json;
  std::string text;
  int exit_status = 0;
};

struct Work {
  ProgressFn progress;
  StopToken stop;
};

struct KeygenArgs {
  std::string name;  // NAME.key and NAME.pub are written
  std::vector<std::string> targets{"*"};
};
Result<Report> keygen(const KeygenArgs& args);

struct PublicKeyArgs {
  fs::path pem;
  std::string name;  // NAME.pub is written
  std::vector<std::string> targets{"*"};
};
Result<Report> public_key(const PublicKeyArgs& args);

struct BuildArgs {
  fs::path tree;
  fs::path repo;        // made (archive) where there is none
  std::string target;   // empty: as metadata.json says
  std::string version;  // empty: as metadata.json says
  std::uint64_t sequence = 0;
  SignerArgs signers;                   // none: the payload waits for attach() under unsigned/TARGET/VERSION
  std::vector<std::string> compatible;  // empty: as metadata.json says
  std::vector<std::string> required;    // "TARGET=VERSION"; empty: as metadata.json says
  std::string expires;                  // empty: never; see parse_expiry()
  fs::path changelog;
  std::string branch = "stable";
  std::optional<std::int64_t> timestamp;  // nothing: SOURCE_DATE_EPOCH, else the newest time of a file in the tree
  bool allow_setuid = false;              // a peripheral's setuid and setgid files stay such
  bool version_from_git = false;          // version, sequence and time as git_version() of the tree says
  bool check = false;                     // build twice, under other circumstances, and compare before signing
  std::string builder;                    // who builds, a URI for the provenance
};
// Commits the tree, signs the commit, and only then points the refs TARGET/VERSION and TARGET/BRANCH to it. Interrupted
// anywhere, it has written no ref, or may be repeated. The same arguments and tree give the same commit.
Result<Report> build(const BuildArgs& args, const Work& work);

struct ImportArgs {
  fs::path archive;                     // in the original Honeycomb's form: a .tar.gz with md5sum.chk in its root
  BuildArgs build;                      // but for `tree`
  std::uint64_t most_megabytes = 2048;  // that it may unpack to
  std::uint64_t most_members = 20'000;
};
// Builds a payload from an archive that nobody needs to trust: see unpack_archive() and check_checksums() for what is
// refused. Nothing of the archive is left behind, whatever becomes of it.
Result<Report> import_archive(const ImportArgs& args, const Work& work);

struct SignArchiveArgs {
  ImportArgs import;  // but for `repo` and `branch`
  fs::path out;       // empty: the archive's name with .sig
};
// Writes the detached signature that a node needs to take the archive itself (engine/payload/archive_signature.h): the
// payload that import_archive() would make is made and thrown away.
Result<Report> sign_archive(const SignArchiveArgs& args, const Work& work);

struct InitArgs {
  fs::path folder;  // is made; its name is the peripheral's
};
// Writes the files of a new peripheral payload, which passes check() as it is.
Result<Report> init(const InitArgs& args);

struct CheckArgs {
  fs::path path;     // a tree or an archive for import_archive(), or with `what` a repository
  std::string what;  // a ref or a commit
};
// The exit status of the report is that of Code::invalid where something is wrong.
Result<Report> check(const CheckArgs& args, const Work& work);

struct ShowArgs {
  fs::path repo;
  std::string what;
  fs::path keyring;  // a directory with trust.d, revoked.d, blocked.d; empty: signatures are only counted
};
Result<Report> show(const ShowArgs& args);

// Shared by the verbs.
// Puts the signatures of `signers` beside `commit` where they are not there yet, and checks them as a node would.
Status sign_commit(Repository& repository, const Commit& commit, const std::vector<Signer>& signers);
// The commit that `what`, a full id or the exact name of a ref, stands for.
Result<Commit> resolve(const Repository& repository, const std::string& what);

}  // namespace hc
