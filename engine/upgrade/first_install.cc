#include "engine/upgrade/first_install.h"

#include "bootloader/factory.h"
#include "engine/base/text.h"
#include "engine/net/http.h"
#include "engine/payload/keys.h"
#include "engine/upgrade/os_slots.h"

namespace hc {
namespace {

constexpr std::uint64_t kMostCommitBytes = 10 << 20;

Result<CommitObject> get_object(const FirstInstall& install, const StopToken& stop) {
  const std::string& hex = install.commit.hex();
  const std::string base = install.url + "/objects/" + hex.substr(0, 2) + "/" + hex.substr(2);
  CommitObject object;
  object.bytes = HC_TRY(http_get(base + ".commit", kMostCommitBytes, {}, stop));
  object.detached = HC_TRY(http_get(base + ".commitmeta", kMostCommitBytes, {}, stop).in("the payload's signatures"));
  return object;
}

Result<Keyring> keyring_of(const std::vector<fs::path>& files) {
  Keyring keyring;
  for (const fs::path& file : files) {
    const std::string text = HC_TRY(read_file(file, 64 << 10));
    const PublicKey key = HC_TRY(PublicKey::parse(text).in(file.string()));
    keyring.keys.push_back({file.stem().string(), key.raw, key.targets, file});
  }
  return keyring;
}

Status put_settings(const FirstInstall& install, const fs::path& etc) {
  HC_TRY(make_dirs(etc / "trust.d"));
  for (const fs::path& key : install.trust) {
    const std::string content = HC_TRY(read_file(key, 64 << 10));
    HC_TRY(write_atomically(etc / "trust.d" / key.filename(), content));
  }
  return write_atomically(etc / "honeycomb.conf", install.settings);
}

}  // namespace

Result<Verdict> install_first(const FirstInstall& install, const ProgressFn& progress, const StopToken& stop) {
  const Keyring keyring = HC_TRY(keyring_of(install.trust));
  const CommitObject object = HC_TRY(get_object(install, stop));
  const TrustPolicy policy(keyring, {});
  Verdict verdict = HC_TRY(policy.verify(install.commit, object.bytes, object.detached));
  HC_TRY(OsStore::create(install.sysroot, install.stateroot));
  const auto store = HC_TRY(OsStore::open(install.sysroot, install.stateroot));
  HC_TRY(store->repository().put_commit(verdict.payload, object));
  HC_TRY(store->repository().pull(install.url, verdict.payload, {}, progress, stop));
  const auto boot = HC_TRY(make_boot_control(install.bootloader, install.sysroot / "boot"));
  HC_TRY(boot->check());
  OsSlots slots(*store, *boot);
  const SlotContent content = HC_TRY(slots.stage(Slot::a, verdict.payload, progress, stop));
  HC_TRY(put_settings(install, content.root / "etc/honeycomb"));
  HC_TRY(store->set_arguments(Slot::a, install.arguments));
  HC_TRY(slots.install_entry(Slot::a));
  HC_TRY(boot->confirm(Slot::a));
  HC_TRY(slots.release());
  HC_TRY(sync_filesystem(install.sysroot));
  return verdict;
}

Result<Commit> released_os(const fs::path& repository, const std::string& version) {
  const Version wanted = HC_TRY(Version::parse(version));
  const std::string ref =
      HC_TRY(read_file(repository / "refs/heads/os" / wanted.text(), 4096).in("version " + wanted.text()));
  return Commit::parse(trimmed(ref));
}

}  // namespace hc
