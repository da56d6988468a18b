#pragma once

#include "image-tools/payload_verbs.h"

// The verbs of hc-payload for payloads that are built: signing, judging, comparing, publishing.
namespace hc {

struct SignArgs {
  fs::path repo;
  std::string what;  // a ref or a commit
  SignerArgs signers;
};
// Adds the signatures that are not there yet.
Result<Report> sign(const SignArgs& args);

struct ExportArgs {
  fs::path repo;
  std::string what;
  fs::path commit_file;        // gets the bytes of the commit object, which a signature is made over
  fs::path archive_signature;  // gets what sign_archive() writes; the payload must be signed
};
Result<Report> export_commit(const ExportArgs& args);

struct AttachArgs {
  fs::path repo;
  std::string what;
  std::vector<std::string> signatures;  // files with the 64 bytes of a signature, raw or in base64
  std::vector<std::string> keys;        // public keys, one of which each signature must be of
  std::string branch = "stable";
};
// Puts signatures that were made elsewhere beside a payload, each checked first, and points the refs as build() does.
Result<Report> attach(const AttachArgs& args);

struct VerifyArgs {
  fs::path repo;
  std::string what;
  std::vector<std::string> keys;  // public keys
  fs::path keyring;               // or a directory with trust.d, revoked.d, blocked.d
  unsigned threshold = 1;         // signatures wanted
  std::string model;              // empty: any that the payload is for
};
// Judges a payload as a node with these keys would that has all that the payload requires, reads every object of it
// again, and checks the statement of provenance where there is one.
Result<Report> verify(const VerifyArgs& args, const Work& work);

struct DiffArgs {
  fs::path repo;
  std::string from;
  std::string to;
};
// What two payloads of one repository differ in: files, packages, kernel arguments, hooks, and what they say of
// themselves.
Result<Report> diff(const DiffArgs& args, const Work& work);

struct PublishArgs {
  fs::path from;
  std::vector<std::string> what;
  fs::path to;                    // an archive repository; made where there is none
  std::vector<std::string> keys;  // public keys, one of which must have signed each payload
  std::string branch = "stable";
  std::uint64_t deltas = 0;  // made from so many versions before each, of those that `to` has
};
// Brings signed payloads into a repository that nodes fetch from. Everything is verified before anything is written,
// and all content and deltas are there before the first ref; a reader sees the old or the new version at any time. May
// be repeated.
Result<Report> publish(const PublishArgs& args, const Work& work);

struct PromoteArgs {
  fs::path repo;
  std::string what;
  std::string branch;
  SignerArgs signers;
};
// Signs a released payload once more and points TARGET/BRANCH to it: the same commit, nothing built. Refused where the
// branch is at a newer release.
Result<Report> promote(const PromoteArgs& args);

struct PruneArgs {
  fs::path repo;
  std::uint64_t keep = 5;          // versions of each target, the newest
  std::uint64_t younger_than = 0;  // and all that were built in the last so many days
  bool plan = false;               // only say what would go
};
// Removes old versions and the deltas to them: never one that a branch stands at, nor the newest of a target. Deltas
// from them stay, as nodes may still run them.
Result<Report> prune(const PruneArgs& args);

}  // namespace hc
