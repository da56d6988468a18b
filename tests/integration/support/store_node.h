#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "engine/base/handle.h"
#include "engine/store/os_store.h"
#include "tests/integration/support/store_tree.h"

namespace hc {

using Files = std::map<std::string, std::string>;

// A sysroot in a folder, and releases made for it.
class TestNode {
 public:
  explicit TestNode(fs::path sysroot) : sysroot_(std::move(sysroot)) {
    must(OsStore::create(sysroot_, "honeycomb"), "making the sysroot");
    open();
  }

  // A new process on the same disk.
  void open() {
    store_.reset();
    store_ = must(OsStore::open(sysroot_, "honeycomb"), "opening the sysroot");
  }

  // Commits a tree of an OS with `files` added (or changed) to the node's repository; an empty content of a name that
  // ends in `/` makes a directory.
  VerifiedPayload release(const std::string& version, const Files& files = {}) {
    Files all = {{"usr/lib/os-release", "PRETTY_NAME=\"Test OS\"\nID=test\n"},
                 {"usr/lib/modules/6.1.0/vmlinuz", "kernel of " + version},
                 {"usr/lib/modules/6.1.0/initramfs.img", "initramfs of " + version},
                 {"usr/bin/tool", "tool of " + version},
                 {"usr/etc/conf", "conf of " + version},
                 {"usr/etc/same", "same in all"}};
    for (const auto& [path, content] : files) all[path] = content;
    return commit(version, all);
  }

  VerifiedPayload commit(const std::string& version, const Files& files) {
    const TempDir scratch;
    for (const auto& [path, content] : files) {
      if (path.ends_with("/"))
        fs::create_directories(scratch / "tree" / path);
      else
        put_file(scratch / "tree" / path, content);
    }
    GVariantDict dict;
    g_variant_dict_init(&dict, nullptr);
    g_variant_dict_insert(&dict, "version", "s", version.c_str());
    Repository::CommitOptions options;
    options.root_owned = true;
    return TrustPolicy::vouch(
        must(store_->repository().commit_tree(scratch / "tree", g_variant_dict_end(&dict), options, nullptr, {})));
  }

  SlotContent stage(Slot slot, const VerifiedPayload& payload) {
    return must(store_->stage(slot, payload, nullptr, StopToken()), "staging");
  }
  // A whole transaction that ended well.
  SlotContent put(Slot slot, const VerifiedPayload& payload) {
    SlotContent content = stage(slot, payload);
    EXPECT_TRUE(must(store_->release()).empty());
    return content;
  }

  std::size_t deployments() const {
    std::size_t count = 0;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(sysroot_ / "ostree/deploy/honeycomb/deploy", none))
      count += entry.is_directory() ? 1 : 0;
    return count;
  }

  OsStore& store() { return *store_; }
  const fs::path& sysroot() const { return sysroot_; }
  fs::path operator/(const std::string& path) const { return sysroot_ / path; }

 private:
  fs::path sysroot_;
  std::unique_ptr<OsStore> store_;
};

}  // namespace hc
