#pragma once

#include <optional>
#include <set>
#include <string>

#include "engine/base/file.h"
#include "engine/base/ids.h"

namespace hc {

struct KernelPair {
  fs::path kernel;
  fs::path initramfs;  // empty: none
};

// The kernels that slots boot: <boot>/honeycomb/<slot>/<key>/{vmlinuz,initramfs.img}, `key` made from their checksum.
// A new pair never touches the old one, so whichever entry the bootloader reads, its files are there whole.
class BootDirectory {
 public:
  // `may_freeze`: the file system of `boot` may be frozen for an instant, which puts its journal in place for a
  // bootloader that does not replay it.
  BootDirectory(fs::path boot, bool may_freeze) : boot_(std::move(boot)), may_freeze_(may_freeze) {}

  const fs::path& path() const { return boot_; }
  fs::path directory(Slot slot, const std::string& key) const;

  // Durable after Ok: the two files of `pair` under their fixed names, or what was there already where it is the same.
  // `likeness`: files on the file system of `boot` that should be the same; they are linked to where they are, so that
  // a small boot partition holds each kernel once.
  Status install(Slot slot, const std::string& key, const KernelPair& pair, const KernelPair& likeness) const;

  // Removes all pairs of `slot` but those with a key in `kept`, and what was half made.
  Status sweep(Slot slot, const std::set<std::string>& kept) const;

  // Ok where the slot's pair is byte for byte what `pair` is.
  Status check(Slot slot, const std::string& key, const KernelPair& pair) const;

 private:
  Status settle() const;

  fs::path boot_;
  bool may_freeze_;
};

// Writes the journal of the file system that holds `directory` to its place: freezes it and thaws it again. Should this
// process die between, a child thaws. Where freezing is not to be had, the data are synced.
Status freeze_and_thaw(const fs::path& directory);

}  // namespace hc
