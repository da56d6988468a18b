#include <CLI/CLI.hpp>

#include "engine/base/terminal.h"
#include "engine/service/worker.h"

// honeycomb-worker: runs the queue's jobs and ends. honeycombd starts it; on a node it is honeycomb-worker.service.
// NOLINTNEXTLINE(bugprone-exception-escape): what is thrown here (out of memory) is to end the process
int main(int argc, char** argv) {
  const hc::StopOnSignal stop;
  hc::fs::path sysroot = "/";
  CLI::App app("Runs the jobs that wait in the queue, then ends", "honeycomb-worker");
  app.set_version_flag("--version", "honeycomb-worker " HC_VERSION);
  app.add_option("--sysroot", sysroot, "The node's root; a folder is a sandbox")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const hc::Status done = hc::run_worker(sysroot, stop.token());
  if (done) return 0;
  hc::print_error(done.error(), false);
  return hc::exit_status(done.error().code());
}
