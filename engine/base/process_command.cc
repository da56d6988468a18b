#include <cstring>

#include "engine/base/process.h"
#include "engine/base/text.h"

namespace hc {
namespace {

Error failure(const std::string& program, const ProcessEnd& end, std::int64_t timeout_ms) {
  switch (end.kind) {
    case ProcessEnd::Kind::exited:
      break;
    case ProcessEnd::Kind::signalled:
      return {Code::io,
              program + " was ended by signal " + std::to_string(end.value) + " (" + strsignal(end.value) + ")"};
    case ProcessEnd::Kind::could_not_run:
      return {Code::io, program + " could not run: " + end.reason};
    case ProcessEnd::Kind::timed_out:
      return {Code::unavailable, program + " did not end within " + human_duration(timeout_ms)};
    case ProcessEnd::Kind::cancelled:
      return {Code::cancelled, program + " was ended because a stop was asked for"};
  }
  return {Code::internal, program + " ended in an unknown way"};
}

}  // namespace

Result<CommandResult> run_command(const std::vector<std::string>& argv, const CommandOptions& options,
                                  const StopToken& stop) {
  ProcessSpec spec;
  spec.argv = argv;
  spec.directory = options.directory;
  spec.environment = options.environment;
  spec.environment.emplace("PATH", kSystemPath);
  spec.environment.emplace("LANG", "C.UTF-8");
  spec.timeout_ms = options.timeout_ms;
  CommandResult result;
  bool too_much = false;
  const auto keep = [&](std::string& into) {
    return [&](std::string_view bytes) {
      too_much = too_much || into.size() + bytes.size() > options.output_limit;
      if (!too_much) into += bytes;
    };
  };
  const ProcessEnd end = run_process(spec, {keep(result.output), keep(result.errors), -1, nullptr}, stop);
  if (end.kind != ProcessEnd::Kind::exited) return failure(argv.front(), end, options.timeout_ms);
  if (too_much) {
    return Error(Code::io, argv.front() + " printed more than the " + human_bytes(options.output_limit) + " allowed");
  }
  result.status = end.value;
  return result;
}

}  // namespace hc
