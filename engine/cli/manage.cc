#include <cstdio>

#include "engine/base/text.h"
#include "engine/cli/reporter.h"
#include "engine/cli/service_link.h"

namespace hc {
namespace {

// Opens the node, runs a small change, says what came of it.
template <typename Work>
int manage(const Session& session, Work run) {
  const auto upgrader = Upgrader::open(session.sysroot);
  if (!upgrader) return fail(session, upgrader.error());
  Result<std::string> said = run(**upgrader);
  if (!said) return fail(session, said.error());
  if (session.json)
    print_json({{"done", *said}});
  else if (!session.quiet)
    std::printf("%s.\n", printable(*said).c_str());
  return 0;
}

}  // namespace

int pin(const Session& session, const std::string& what, const std::string& target_name, bool pinned) {
  if (const auto exit =
          by_service(session, {{"kind", pinned ? "pin" : "unpin"}, {"target", target_name}, {"what", what}}))
    return *exit;
  return manage(session, [&](Upgrader& upgrader) -> Result<std::string> {
    const Target target = HC_TRY(Target::parse(target_name));
    HC_TRY(upgrader.pin(target, what, pinned, session.stop));
    return target.name() + " " + what +
           (pinned ? " is kept until it is unpinned" : " is kept only as long as keep_versions says");
  });
}

int collect_garbage(const Session& session) {
  if (const auto exit = by_service(session, {{"kind", "gc"}})) return *exit;
  return manage(session, [&](Upgrader& upgrader) -> Result<std::string> {
    const std::uint64_t freed = HC_TRY(upgrader.collect_garbage());
    return "Freed " + human_bytes(freed);
  });
}

int remote_add(const Session& session, const std::string& name, const std::string& place) {
  return manage(session, [&](Upgrader& upgrader) -> Result<std::string> {
    HC_TRY(upgrader.remotes().add(name, place));
    return "Payloads are looked for at remote " + name + " now";
  });
}

int remote_remove(const Session& session, const std::string& name) {
  return manage(session, [&](Upgrader& upgrader) -> Result<std::string> {
    HC_TRY(upgrader.remotes().remove(name));
    return "Remote " + name + " is removed";
  });
}

int remote_list(const Session& session) {
  const auto upgrader = Upgrader::open(session.sysroot);
  if (!upgrader) return fail(session, upgrader.error());
  const auto remotes = (*upgrader)->remotes().all();
  if (!remotes) return fail(session, remotes.error());
  Json list = Json::array();
  for (const Remote& remote : *remotes) {
    list.push_back({{"name", remote.name}, {"url", without_credentials(remote.url)}});
    if (!session.json)
      std::printf("%-16s %s\n", remote.name.c_str(), printable(without_credentials(remote.url)).c_str());
  }
  if (session.json) print_json({{"remotes", std::move(list)}});
  return 0;
}

int trust_list(const Session& session) {
  const auto upgrader = Upgrader::open(session.sysroot);
  if (!upgrader) return fail(session, upgrader.error());
  const Node& node = (*upgrader)->node();
  const auto keyring = Keyring::load({node.lib, node.etc});
  if (!keyring) return fail(session, keyring.error());
  Json json = {{"keys", Json::array()},
               {"revoked", keyring->revoked.size()},
               {"blocked", Json::array()},
               {"warnings", keyring->warnings}};
  for (const TrustedKey& key : keyring->keys) {
    const bool revoked = keyring->revoked.contains(key.raw);
    json["keys"].push_back(
        {{"name", key.name}, {"targets", key.targets}, {"file", key.file.string()}, {"revoked", revoked}});
    std::string targets;
    for (const std::string& target : key.targets) targets += " " + target;
    if (!session.json)
      std::printf("%-20s %s%s\n", printable(key.name).c_str(), revoked ? "REVOKED; was for" : "may sign for",
                  printable(targets).c_str());
  }
  for (const Commit& commit : keyring->blocked) {
    json["blocked"].push_back(commit.hex());
    if (!session.json) std::printf("blocked commit       %s\n", commit.hex().c_str());
  }
  for (const std::string& warning : keyring->warnings)
    if (!session.json) std::printf("warning: %s\n", printable(warning).c_str());
  if (session.json) print_json(json);
  return 0;
}

}  // namespace hc
