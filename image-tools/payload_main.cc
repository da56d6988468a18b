#include <CLI/CLI.hpp>

#include "engine/base/describe.h"
#include "engine/base/terminal.h"
#include "image-tools/payload_commands.h"

// hc-payload: makes, signs, checks, ships and shows payloads.
namespace hc {
namespace {

constexpr const char* kFooter = R"(
A release in three steps:
  hc-payload keygen release
  hc-payload build TREE --target os --version 2.4.0 --sequence 12 --key release.key --repo REPO
  hc-payload show REPO os/2.4.0

Exit status: 0 done; 2 wrong usage; 3 refused: the input is wrong; 4 a signature or key is wrong;
5 not available now; 6 no space; 7 busy; 8 the disk or system refused; 1 a bug; 130 stopped.)";

int run(const Request& request, const StopToken& stop) {
  ProgressBar bar(request.json || request.quiet);
  const Result<Report> report = request.verb({bar.fn(), stop});
  bar.finish();
  if (!report) {
    print_error(report.error(), request.json);
    return exit_status(report.error().code());
  }
  std::fputs(request.json ? dump_json(report->json).c_str() : report->text.c_str(), stdout);
  return report->exit_status;
}

int main_with(int argc, char** argv) {
  const StopOnSignal stop;
  Request request;
  CLI::App app("Makes, signs, checks and shows Honeycomb payloads.", "hc-payload");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("hc-payload ") + HC_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", request.json, "One JSON document on standard output, also for errors");
  app.add_flag("--quiet", request.quiet, "No progress");
  add_making(app, request);
  add_shipping(app, request);
  add_descriptions(app, "1");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // CLI11's only way to say so
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  return run(request, stop.token());
}

}  // namespace
}  // namespace hc

// NOLINTNEXTLINE(bugprone-exception-escape): what is thrown here (out of memory) is to end the process
int main(int argc, char** argv) { return hc::main_with(argc, argv); }
