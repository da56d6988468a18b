#include "engine/store/tree_space.h"

namespace hc {
namespace {

constexpr std::uint64_t kBlock = 4096;

Result<std::uint64_t> size_of(const Repository& repository, const CommitEntry& entry) {
  if (entry.is_directory) return kBlock;
  const CommitEntryInfo info = HC_TRY(entry_info(repository.raw(), entry));
  return static_cast<std::uint64_t>(g_file_info_get_size(info.info.get()));
}

}  // namespace

Status TreeSpace::add(const Repository& repository, const CommitEntry& entry) {
  const std::uint64_t size = HC_TRY(size_of(repository, entry));
  bytes += (size + kBlock - 1) / kBlock * kBlock;
  ++inodes;
  return ok;
}

Status TreeSpace::add_if_empty(const Repository& repository, const CommitEntry& entry) {
  const std::uint64_t size = HC_TRY(size_of(repository, entry));
  if (size == 0) ++inodes;
  return ok;
}

}  // namespace hc
