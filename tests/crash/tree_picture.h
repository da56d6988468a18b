#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/base/file.h"

namespace hc {

// One file as a reader meets it.
struct Seen {
  char type = '?';  // f, d, l (symlink), o (other), ! (it cannot be read)
  unsigned mode = 0;
  std::uint64_t size = 0;
  std::uint64_t content = 0;  // hash of the bytes
  std::string target;         // of a symlink; of '!': why

  bool operator==(const Seen&) const = default;
};

// A whole tree: path below its root, without a leading slash -> what is there.
using Picture = std::map<std::string, Seen>;

// Reads everything below `root`, never stopping at what it cannot read.
Picture picture_of(const fs::path& root);

// The part of `picture` below `directory`, with paths relative to it.
Picture below(const Picture& picture, const std::string& directory);

// One number for all of it.
std::uint64_t hash_of(const Picture& picture);

std::uint64_t hash_of_bytes(std::string_view bytes);

}  // namespace hc
