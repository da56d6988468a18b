#include "engine/archive/work_place.h"
#include "engine/base/text.h"
#include "image-tools/archive_tree.h"
#include "image-tools/payload_verbs.h"

namespace hc {

Result<Report> import_archive(const ImportArgs& args, const Work& work) {
  ArchiveLimits limits;
  limits.bytes = args.most_megabytes * 1'000'000;
  limits.members = args.most_members;
  limits.allow_setuid = args.build.allow_setuid;
  // Beside the repository: where the content is to go, there is room for it.
  const WorkPlace place = HC_TRY(WorkPlace::beside(args.build.repo));
  const fs::path tree = place.path() / "tree";
  const ArchiveContents contents = HC_TRY(open_archive(args.archive, tree, limits, work.stop));
  HC_TRY(as_status(archive_findings(tree), args.archive));
  BuildArgs build_args = args.build;
  build_args.tree = tree;
  Report report = HC_TRY(build(build_args, work));
  report.json["archive"] = {{"file", printable(args.archive.string())},
                            {"members", contents.members},
                            {"bytes", contents.bytes},
                            {"checksums", "md5, which finds accidents only"}};
  report.text += "archive " + printable(args.archive.string()) + ", " + std::to_string(contents.members) +
                 " members, " + human_bytes(contents.bytes) + "; checksums match (md5 finds accidents only)\n";
  return report;
}

}  // namespace hc
