#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "engine/archive/tree_view.h"
#include "engine/base/text.h"
#include "engine/payload/manifest.h"
#include "image-tools/git_version.h"
#include "image-tools/os_tree.h"
#include "image-tools/packages.h"
#include "image-tools/payload_options.h"
#include "image-tools/payload_verbs.h"
#include "image-tools/peripheral_tree.h"
#include "image-tools/provenance.h"
#include "image-tools/release.h"

namespace hc {
namespace {

constexpr const char* kLocalBuilder = "urn:honeycomb:builder:local";

// What is to be committed, and under which name.
struct Plan {
  std::optional<GitVersion> git;
  fs::path tree;  // absolute
  Manifest manifest;
  std::string kernel;  // OS only
  Findings findings;
};

Status must_agree(const char* option, const std::string& given, const std::string& metadata) {
  if (given.empty() || given == metadata) return ok;
  return Error(Code::invalid,
               std::string(option) + " is " + quote(given) + ", but metadata.json says " + quote(metadata));
}

// What the command line says, else git.
std::string wanted_version(const BuildArgs& args, const Plan& plan) {
  return args.version.empty() && plan.git ? plan.git->version.text() : args.version;
}

Status plan_peripheral(const BuildArgs& args, Plan& plan) {
  PeripheralTree checked = check_peripheral_tree(plan.tree);
  plan.findings = std::move(checked.findings);
  HC_TRY(as_status(plan.findings, plan.tree));
  const PeripheralMetadata& metadata = *checked.metadata;
  HC_TRY(must_agree("--target", args.target, metadata.target.name()));
  HC_TRY(must_agree(plan.git ? "the version from git" : "--version", wanted_version(args, plan),
                    metadata.config_version.text()));
  plan.manifest.kind = PayloadKind::peripheral;
  plan.manifest.target = metadata.target;
  plan.manifest.version = metadata.config_version;
  plan.manifest.compatible = metadata.compatible;
  plan.manifest.requires_versions = metadata.requires_versions;
  return ok;
}

Status plan_os(const BuildArgs& args, Plan& plan) {
  const std::string version = wanted_version(args, plan);
  if (version.empty()) return Error(Code::invalid, "an OS payload needs a --version");
  plan.manifest.version = HC_TRY(Version::parse(version).in("--version"));
  OsTree checked = check_os_tree(plan.tree);
  plan.findings = std::move(checked.findings);
  plan.kernel = std::move(checked.kernel);
  plan.manifest.carries = std::move(checked.carries);
  return as_status(plan.findings, plan.tree);
}

Result<Plan> make_plan(const BuildArgs& args) {
  Plan plan;
  std::error_code error;
  plan.tree = fs::canonical(args.tree, error);
  if (error || !fs::is_directory(plan.tree))
    return Error(Code::invalid, args.tree.string() + " is no directory: the tree of a payload is wanted");
  if (args.version_from_git) plan.git = HC_TRY(git_version(plan.tree));
  Manifest& manifest = plan.manifest;
  HC_TRY(args.target == "os" ? plan_os(args, plan) : plan_peripheral(args, plan));
  manifest.sequence = args.sequence == 0 && plan.git ? plan.git->sequence : args.sequence;
  if (manifest.sequence == 0)
    return Error(Code::invalid, "a payload needs a --sequence: a number larger than that of every release before")
        .with_hint("--version-from-git takes the number of commits");
  const auto time = plan.git && !args.timestamp ? plan.git->committed_at : args.timestamp;
  manifest.built_at = HC_TRY(build_time(time, plan.tree));
  if (!args.compatible.empty()) manifest.compatible = args.compatible;
  if (!args.required.empty()) manifest.requires_versions = HC_TRY(parse_requirements(args.required));
  if (!args.changelog.empty()) manifest.changelog = HC_TRY(read_changelog(args.changelog));
  if (!args.expires.empty()) {
    manifest.expires = HC_TRY(parse_expiry(args.expires, manifest.built_at));
    if (*manifest.expires <= std::time(nullptr))
      return Error(Code::invalid, "the payload would be expired already, since " + iso_time(*manifest.expires))
          .with_hint("+Nd counts from the time of the build, " + iso_time(manifest.built_at) +
                     "; choose that with --timestamp");
  }
  return plan;
}

// The commit's metadata: the manifest, and what libostree itself reads of a bootable tree.
Variant commit_metadata(const Plan& plan) {
  const Variant manifest = plan.manifest.to_metadata();
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sv}"));
  for (gsize i = 0; i < g_variant_n_children(manifest.get()); ++i) {
    const Variant entry(g_variant_get_child_value(manifest.get(), i));
    g_variant_builder_add_value(&builder, entry.get());
  }
  if (!plan.kernel.empty()) {
    g_variant_builder_add(&builder, "{sv}", "ostree.bootable", g_variant_new_boolean(TRUE));
    g_variant_builder_add(&builder, "{sv}", "ostree.linux", g_variant_new_string(plan.kernel.c_str()));
  }
  return Variant(g_variant_ref_sink(g_variant_builder_end(&builder)));
}

// Says in the payload itself what it is made of. REQUIRES: `view` may be changed.
Status add_bill_of_materials(const Plan& plan, const fs::path& view) {
  for (const char* database : kPackageDatabases) {
    const auto status = HC_TRY(read_file_if_exists(plan.tree / database));
    if (!status) continue;
    const fs::path folder = view / "usr/share/honeycomb";
    for (const fs::path& path : {view / "usr/share", folder}) {
      if (::mkdir(path.c_str(), 0755) == 0) {
        if (::chmod(path.c_str(), 0755) != 0) return Error::from_errno(errno, "setting the mode of " + path.string());
      } else if (errno != EEXIST) {
        return Error::from_errno(errno, "making " + path.string());
      }
    }
    return write_atomically(folder / "sbom.spdx.json", spdx_text(plan.manifest, parse_packages(*status)));
  }
  return ok;
}

Result<TreeView> view_of(const BuildArgs& args, const Plan& plan, const Work& work) {
  using Rights = TreeView::Rights;
  if (plan.manifest.kind == PayloadKind::peripheral)
    return TreeView::normalised(plan.tree, args.allow_setuid ? Rights::kept : Rights::dropped, work.stop);
  TreeView view = HC_TRY(TreeView::linked(plan.tree, emptied_directories(), work.progress, work.stop));
  HC_TRY(add_bill_of_materials(plan, view.path()));
  HC_TRY(convert_os_tree(view.path()));
  return view;
}

Result<Commit> commit_plan(Repository& repository, const BuildArgs& args, const Plan& plan, const Work& work) {
  const TreeView view = HC_TRY(view_of(args, plan, work));
  Repository::CommitOptions options;
  options.subject = plan.manifest.target.name() + " " + plan.manifest.version.text();
  options.timestamp = plan.manifest.built_at;
  // Only root can have given the files of an OS the owners that they are to have.
  options.root_owned = plan.manifest.kind == PayloadKind::peripheral || ::geteuid() != 0;
  const Variant metadata = commit_metadata(plan);
  const Commit commit = HC_TRY(repository.commit_tree(view.path(), metadata.get(), options, work.progress, work.stop));
  const CommitObject object = HC_TRY(repository.commit_object(commit));
  HC_TRY(read_manifest(object.bytes).in("no node would accept the payload"));
  return commit;
}

// Builds the payload again from a copy of the tree that differs in all that must not matter: order, times and place of
// the files, umask, locale and time zone.
Status check_reproducible(Repository& repository, const BuildArgs& args, const Plan& plan, const Commit& commit,
                          const Work& work) {
  const TreeView other = HC_TRY(TreeView::reversed(plan.tree, work.progress, work.stop));
  Plan again = plan;
  again.tree = other.path();
  const mode_t umask = ::umask(077);
  for (const auto& [name, value] : {std::pair("LC_ALL", "C"), std::pair("TZ", "Asia/Kathmandu")})
    ::setenv(name, value, 1);
  const auto second = commit_plan(repository, args, again, work);
  ::umask(umask);
  if (!second) return second.error();
  if (*second == commit) return ok;
  const TreeDiff diff = HC_TRY(repository.diff(commit, *second, work.stop));
  std::string paths;
  for (const auto* list : {&diff.added, &diff.removed, &diff.changed})
    for (const std::string& path : *list)
      if (paths.size() < 400) paths += (paths.empty() ? "" : ", ") + printable(path);
  return Error(Code::invalid, "two builds of this tree differ (commits " + commit.brief() + " and " + second->brief() +
                                  "): " + (paths.empty() ? "in what they say of themselves" : paths));
}

Status write_provenance(const BuildArgs& args, const Plan& plan, const Commit& commit,
                        const std::vector<Signer>& signers) {
  const fs::path path = provenance_path(args.repo, commit);
  const Provenance provenance{plan.manifest, commit, args.builder.empty() ? kLocalBuilder : args.builder, plan.git,
                              iso_time(std::time(nullptr))};
  const std::string text = HC_TRY(provenance_text(provenance, signers));
  HC_TRY(make_dirs(path.parent_path()));
  return write_atomically(path, text);
}

Report report_of(const Plan& plan, const Commit& commit, const std::vector<Signer>& signers,
                 const std::vector<std::string>& refs) {
  Report report;
  report.json = to_json(plan.manifest);
  report.json["commit"] = commit.hex();
  report.json["refs"] = refs;
  report.json["signed_by"] = Json::array();
  report.json["findings"] = to_json(plan.findings);
  std::string by;
  for (const Signer& key : signers) {
    report.json["signed_by"].push_back(key.name);
    by += (by.empty() ? "" : ", ") + key.name;
  }
  std::string names;
  for (const std::string& ref : refs) names += (names.empty() ? "" : ", ") + ref;
  report.text = to_text(plan.findings) + plan.manifest.target.name() + " " + plan.manifest.version.text() +
                ", sequence " + std::to_string(plan.manifest.sequence) + "\ncommit  " + commit.hex() + "\nsigned  by " +
                (by.empty() ? "nobody yet: see `hc-payload attach`" : by) + "\nrefs    " + names + "\n";
  return report;
}

}  // namespace

Result<Report> build(const BuildArgs& args, const Work& work) {
  const std::vector<Signer> signers = HC_TRY(load_signers(args.signers));
  const Plan plan = HC_TRY(make_plan(args));
  HC_TRY(check_branch(plan.manifest, args.branch));
  Repository repository = HC_TRY(Repository::create(args.repo, "archive"));
  const FileLock lock = HC_TRY(lock_repository(args.repo));

  const std::optional<Commit> existing = HC_TRY(repository.ref(version_ref(plan.manifest)));
  // Before the long work where that can be known; a repetition of an old build is told by its commit.
  if (!existing) HC_TRY(check_sequence(repository, plan.manifest));
  const Commit commit = HC_TRY(commit_plan(repository, args, plan, work));
  HC_TRY(check_same(repository, plan.manifest, commit));
  if (args.check) HC_TRY(check_reproducible(repository, args, plan, commit, work));
  std::vector<std::string> refs = {unsigned_ref(plan.manifest)};
  if (signers.empty()) {
    HC_TRY(repository.set_ref(refs.front(), commit));
  } else {
    HC_TRY(sign_commit(repository, commit, signers));
    HC_TRY(write_provenance(args, plan, commit, signers));
    refs = HC_TRY(point_refs(repository, plan.manifest, commit, args.branch));
  }
  Report report = report_of(plan, commit, signers, refs);
  if (args.check) {
    report.json["reproducible"] = true;
    report.text += "built   twice, under other circumstances: the same commit\n";
  }
  return report;
}

}  // namespace hc
