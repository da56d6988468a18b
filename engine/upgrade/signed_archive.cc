#include "engine/upgrade/signed_archive.h"

#include <sys/stat.h>

#include <cerrno>

#include "engine/archive/archive_child.h"
#include "engine/archive/tree_view.h"
#include "engine/archive/work_place.h"
#include "engine/base/text.h"
#include "engine/payload/archive_signature.h"

namespace hc {

Result<SignedArchive> SignedArchive::open(const fs::path& archive) {
  const fs::path beside = archive.string() + ".sig";
  const std::string name = printable(archive.filename().string());
  const std::optional<std::string> text = HC_TRY(read_file_if_exists(beside));
  if (!text)
    return Error(Code::untrusted, name + " is not signed: there is no " + name + ".sig beside it")
        .with_hint("where the key is, `hc-payload sign-archive " + name + " --sequence N --key KEY` makes it");
  const ArchiveSignature signature = HC_TRY(parse_archive_signature(*text).in(name + ".sig"));
  Manifest manifest = HC_TRY(read_manifest(signature.commit).in(name + ".sig"));
  if (manifest.kind != PayloadKind::peripheral)
    return Error(Code::invalid, name + ".sig signs an operating system: an archive holds a peripheral's payload");
  return SignedArchive{archive, commit_of(signature.commit), {signature.commit, signature.detached}, manifest};
}

Status unpack_signed_archive(const SignedArchive& signed_archive, const fs::path& repository, const StopToken& stop) {
  const std::string name = printable(signed_archive.archive.filename().string());
  const std::string ref = signed_archive.manifest.target.name() + "/" + signed_archive.manifest.version.text();
  Repository made = HC_TRY(Repository::create(repository, "archive"));
  if (HC_TRY(made.ref(ref)) == signed_archive.commit) return ok;

  const WorkPlace place = HC_TRY(WorkPlace::beside(repository));
  const fs::path tree = place.path() / "tree";
  if (::mkdir(tree.c_str(), 0700) != 0) return Error::from_errno(errno, "making " + tree.string());
  ArchiveLimits limits;
  limits.allow_setuid = true;  // whether they may be there was decided where it was signed
  HC_TRY(unpack_in_child(signed_archive.archive, tree, limits, stop).in(name));
  const TreeView view = HC_TRY(TreeView::normalised(tree, TreeView::Rights::kept, stop));
  auto adopted = made.adopt_tree(signed_archive.object, view.path(), stop);
  if (!adopted && adopted.error().code() == Code::untrusted)
    return Error(Code::untrusted, name + " is not the archive that " + name + ".sig signs: its content is another")
        .with_hint("copy both files again, or sign the archive again");
  if (!adopted) return std::move(adopted).error().in(name);
  HC_TRY(made.set_ref(ref, *adopted));
  return made.update_summary();
}

}  // namespace hc
