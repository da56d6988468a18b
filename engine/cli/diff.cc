#include <cstdio>

#include "engine/base/text.h"
#include "engine/cli/reporter.h"

namespace hc {
namespace {

Json to_json(const VersionDiff::End& end) { return {{"version", end.version}, {"commit", end.commit.hex()}}; }

void print(const char* mark, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) std::printf("  %s /%s\n", mark, printable(path).c_str());
}

}  // namespace

int diff(const Session& session, const std::string& from, const std::string& to, const std::string& target_name) {
  const auto target = Target::parse(target_name);
  if (!target) return fail(session, target.error());
  const auto upgrader = Upgrader::open(session.sysroot);
  if (!upgrader) return fail(session, upgrader.error());
  const auto diff = (*upgrader)->diff(*target, from, to, session.stop);
  if (!diff) return fail(session, diff.error());
  const TreeDiff& files = diff->files;
  if (session.json) {
    print_json({{"target", target->name()},
                {"from", to_json(diff->from)},
                {"to", to_json(diff->to)},
                {"changelog", diff->changelog},
                {"added", files.added},
                {"removed", files.removed},
                {"changed", files.changed}});
    return 0;
  }
  std::printf("%s %s (%s) -> %s (%s): %zu added, %zu removed, %zu changed\n", target->name().c_str(),
              printable(diff->from.version).c_str(), diff->from.commit.brief().c_str(),
              printable(diff->to.version).c_str(), diff->to.commit.brief().c_str(), files.added.size(),
              files.removed.size(), files.changed.size());
  if (!diff->changelog.empty()) std::printf("\n%s\n", printable(diff->changelog).c_str());
  print("+", files.added);
  print("-", files.removed);
  print("~", files.changed);
  return 0;
}

}  // namespace hc
