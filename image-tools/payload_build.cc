#include <unistd.h>

#include <ctime>

#include "engine/base/text.h"
#include "engine/payload/manifest.h"
#include "image-tools/os_tree.h"
#include "image-tools/payload_options.h"
#include "image-tools/payload_verbs.h"
#include "image-tools/peripheral_tree.h"
#include "image-tools/tree_view.h"

namespace hc {
namespace {

// What is to be committed, and under which name.
struct Plan {
  fs::path tree;  // absolute
  Manifest manifest;
  std::string kernel;  // OS only
  Findings findings;

  std::string version_ref() const { return manifest.target.name() + "/" + manifest.version.text(); }
};

Status must_agree(const char* option, const std::string& given, const std::string& metadata) {
  if (given.empty() || given == metadata) return ok;
  return Error(Code::invalid,
               std::string(option) + " is " + quote(given) + ", but metadata.json says " + quote(metadata));
}

Status plan_peripheral(const BuildArgs& args, Plan& plan) {
  PeripheralTree checked = check_peripheral_tree(plan.tree);
  plan.findings = std::move(checked.findings);
  HC_TRY(as_status(plan.findings, plan.tree));
  const PeripheralMetadata& metadata = *checked.metadata;
  HC_TRY(must_agree("--target", args.target, metadata.target.name()));
  HC_TRY(must_agree("--version", args.version, metadata.config_version.text()));
  plan.manifest.kind = PayloadKind::peripheral;
  plan.manifest.target = metadata.target;
  plan.manifest.version = metadata.config_version;
  plan.manifest.compatible = metadata.compatible;
  plan.manifest.requires_versions = metadata.requires_versions;
  return ok;
}

Status plan_os(const BuildArgs& args, Plan& plan) {
  if (args.version.empty()) return Error(Code::invalid, "an OS payload needs a --version");
  plan.manifest.version = HC_TRY(Version::parse(args.version).in("--version"));
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
  Manifest& manifest = plan.manifest;
  HC_TRY(args.target == "os" ? plan_os(args, plan) : plan_peripheral(args, plan));
  manifest.sequence = args.sequence;
  manifest.built_at = HC_TRY(build_time(args.timestamp, plan.tree));
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

Status check_branch(const BuildArgs& args, const Plan& plan) {
  HC_TRY(Version::parse(args.branch).in("--branch"));
  if (args.branch == plan.manifest.version.text())
    return Error(Code::invalid, "--branch and --version are the same, " + quote(args.branch) +
                                    ": each is the name of a ref of its own");
  return ok;
}

// The newest other release of the target in `repository`.
struct Newest {
  std::uint64_t sequence = 0;
  std::string ref;
};
Result<Newest> newest_release(const Repository& repository, const Plan& plan) {
  Newest newest;
  for (const auto& [name, commit] : HC_TRY(repository.refs(plan.manifest.target.name() + "/"))) {
    if (name == plan.version_ref()) continue;
    const auto object = repository.commit_object(commit);
    const auto manifest = object ? read_manifest(object->bytes) : Result<Manifest>(object.error());
    // A ref of something else must not keep releases from being made.
    if (!manifest || manifest->version == plan.manifest.version) continue;
    if (newest.ref.empty() || manifest->sequence > newest.sequence) newest = {manifest->sequence, name};
  }
  return newest;
}

Status check_sequence(const Plan& plan, const Newest& newest) {
  if (newest.ref.empty() || plan.manifest.sequence > newest.sequence) return ok;
  return Error(Code::invalid, "--sequence " + std::to_string(plan.manifest.sequence) + " is not larger than " +
                                  std::to_string(newest.sequence) + ", which " + newest.ref +
                                  " has: nodes would refuse it as a downgrade")
      .with_hint("give it --sequence " + std::to_string(newest.sequence + 1));
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

Result<TreeView> view_of(const BuildArgs& args, const Plan& plan, const Work& work) {
  using Rights = TreeView::Rights;
  if (plan.manifest.kind == PayloadKind::peripheral)
    return TreeView::normalised(plan.tree, args.allow_setuid ? Rights::kept : Rights::dropped, work.stop);
  TreeView view = HC_TRY(TreeView::linked(plan.tree, emptied_directories(), work.progress, work.stop));
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

Status check_same(const Plan& plan, const std::optional<Commit>& existing, const Commit& commit) {
  if (!existing || *existing == commit) return ok;
  return Error(Code::invalid, "version " + plan.version_ref() + " is in the repository already, with other content (" +
                                  existing->brief() + ")")
      .with_hint("a version never changes: choose a new --version and --sequence, or delete the ref first");
}

Report report_of(const Plan& plan, const Commit& commit, const std::vector<NamedKey>& keys,
                 const std::vector<std::string>& refs) {
  Report report;
  report.json = to_json(plan.manifest);
  report.json["commit"] = commit.hex();
  report.json["refs"] = refs;
  report.json["signed_by"] = Json::array();
  report.json["findings"] = to_json(plan.findings);
  std::string signers;
  for (const NamedKey& key : keys) {
    report.json["signed_by"].push_back(key.name);
    signers += (signers.empty() ? "" : ", ") + key.name;
  }
  std::string names;
  for (const std::string& ref : refs) names += (names.empty() ? "" : ", ") + ref;
  report.text = to_text(plan.findings) + plan.manifest.target.name() + " " + plan.manifest.version.text() +
                ", sequence " + std::to_string(plan.manifest.sequence) + "\ncommit  " + commit.hex() + "\nsigned  by " +
                signers + "\nrefs    " + names + "\n";
  return report;
}

}  // namespace

Result<Report> build(const BuildArgs& args, const Work& work) {
  const std::vector<NamedKey> keys = HC_TRY(load_keys(args.keys));
  const Plan plan = HC_TRY(make_plan(args));
  HC_TRY(check_branch(args, plan));
  Repository repository = HC_TRY(Repository::create(args.repo, "archive"));
  const FileLock lock = HC_TRY(FileLock::take(args.repo / ".hc-payload.lock"));

  const std::string branch = plan.manifest.target.name() + "/" + args.branch;
  const Newest newest = HC_TRY(newest_release(repository, plan));
  const std::optional<Commit> existing = HC_TRY(repository.ref(plan.version_ref()));
  // Before the long work where that can be known; a repetition of an old build is told by its commit.
  if (!existing) HC_TRY(check_sequence(plan, newest));
  const Commit commit = HC_TRY(commit_plan(repository, args, plan, work));
  HC_TRY(check_same(plan, existing, commit));
  HC_TRY(sign_commit(repository, commit, keys));

  std::vector<std::string> refs = {plan.version_ref()};
  HC_TRY(repository.set_ref(refs.front(), commit));
  if (newest.ref.empty() || plan.manifest.sequence > newest.sequence) {
    HC_TRY(repository.set_ref(branch, commit));
    refs.push_back(branch);
  }
  HC_TRY(repository.update_summary());
  return report_of(plan, commit, keys, refs);
}

}  // namespace hc
