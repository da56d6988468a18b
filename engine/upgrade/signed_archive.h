#pragma once

#include "engine/base/stop.h"
#include "engine/payload/manifest.h"
#include "engine/store/repository.h"

// Archives of the original Honeycomb that came to a node as files: NAME.tar.gz with NAME.tar.gz.sig beside it, which
// `hc-payload sign-archive` makes.
namespace hc {

struct SignedArchive {
  fs::path archive;
  Commit commit;
  CommitObject object;  // for NodeSource::judge() and TrustPolicy::verify()
  Manifest manifest;    // what it says of itself

  // Reads the signature file of `archive` and nothing else. Code::untrusted where there is none, Code::invalid where it
  // is malformed or of no payload for a peripheral. Nothing is verified yet.
  static Result<SignedArchive> open(const fs::path& archive);
};

// Unpacks the archive in a process of its own and makes `repository` (an archive repository) hold it: the commit, its
// signatures, and the ref TARGET/VERSION when all is there. That is a source like any remote, whose address is
// `file://` + `repository`: what a node fetches from it passes the gate as ever. Code::untrusted where the archive is
// not the one that was signed. May be repeated after a power cut; a second call with the same archive changes nothing.
Status unpack_signed_archive(const SignedArchive& signed_archive, const fs::path& repository, const StopToken& stop);

}  // namespace hc
