#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "image-tools/payload_delta.h"
#include "image-tools/payload_shipping.h"

// The command line of hc-payload.
namespace hc {

// What the command line asks for.
struct Request {
  std::function<Result<Report>(const Work&)> verb;
  bool json = false;
  bool quiet = false;

  KeygenArgs keygen;
  PublicKeyArgs public_key;
  BuildArgs build;
  ImportArgs import;
  SignArchiveArgs sign_archive;
  InitArgs init;
  SignArgs sign;
  ExportArgs export_commit;
  AttachArgs attach;
  CheckArgs check;
  ShowArgs show;
  VerifyArgs verify;
  DiffArgs diff;
  PublishArgs publish;
  PromoteArgs promote;
  PruneArgs prune;
  DeltaArgs delta;
  BundleArgs bundle;
};

// --key, --sign-command and --sign-key.
void add_signer_options(CLI::App& group, SignerArgs& args);
// keygen, public-key, init, check, build, import, sign-archive.
void add_making(CLI::App& app, Request& request);
// sign, export, attach, show, verify, diff, publish, promote, prune, delta, bundle.
void add_shipping(CLI::App& app, Request& request);

}  // namespace hc
