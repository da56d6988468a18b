#include "image-tools/archive_tree.h"

#include <sys/stat.h>

#include <cerrno>

#include "engine/archive/archive_child.h"
#include "engine/base/text.h"
#include "image-tools/checksum_list.h"
#include "image-tools/peripheral_tree.h"

namespace hc {

Result<ArchiveContents> open_archive(const fs::path& archive, const fs::path& tree, const ArchiveLimits& limits,
                                     const StopToken& stop) {
  std::error_code error;
  if (!fs::is_regular_file(archive, error))
    return Error(Code::invalid, printable(archive.string()) + " is no file: an archive (.tar.gz) is wanted");
  if (::mkdir(tree.c_str(), 0700) != 0) return Error::from_errno(errno, "making " + tree.string());
  return unpack_in_child(archive, tree, limits, stop).in(printable(archive.string()));
}

Findings archive_findings(const fs::path& tree) {
  Findings findings = check_checksums(tree);
  for (Finding& finding : check_peripheral_tree(tree).findings) findings.push_back(std::move(finding));
  return findings;
}

}  // namespace hc
