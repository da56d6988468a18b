#include "engine/store/pull_child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/json.h"
#include "engine/base/text.h"
#include "engine/store/ostree.h"
#include "engine/store/pull_local.h"
#include "engine/store/pull_pace.h"

namespace hc {
namespace {

void report(const Json& line) {
  const std::string text = dump_json(line, -1);
  // The parent is gone: nobody wants the rest.
  if (::write(kReportFd, text.data(), text.size()) < 0) ::_exit(1);
}

void report_progress(const char* phase, std::uint64_t bytes, std::uint64_t objects) {
  static std::string last;
  Json line = {{"phase", phase}, {"bytes", bytes}, {"objects", objects}};
  // Silence is how the parent sees that nothing moves.
  if (line.dump() == last) return;
  last = line.dump();
  report(line);
}

void on_progress(OstreeAsyncProgress* progress, gpointer pace) {
  guint64 bytes = 0;
  guint fetched = 0;
  guint requested = 0;
  ostree_async_progress_get(progress, "bytes-transferred", "t", &bytes, "fetched", "u", &fetched, "requested", "u",
                            &requested, nullptr);
  static_cast<PullPace*>(pace)->fetched(bytes);
  report_progress("fetch", bytes, fetched);
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

Error explain(const GErr& err, const PullOrder& order) {
  const std::string_view text = err.text();
  const std::string object_fault = "the source sent a bad object of commit " + order.commit.brief();
  if (has(text, "checksum expected=")) return err.as(Code::untrusted, object_fault);
  if (has(text, "File too large"))
    return {Code::untrusted, object_fault + ": it is larger than the signed commit says"};
  if (has(text, "Parsing ") || has(text, "Decompress") || has(text, "Invalid compressed"))
    return err.as(Code::unavailable,
                  object_fault + ", not in OSTree's form: a login page (captive portal) or a damaged mirror");
  if (has(text, "HTTP 404") || has(text, "HTTP 410"))
    return {Code::unavailable, "the answer is \"not found\" (" + std::string(text) +
                                   "): there is no repository at this address, or it lacks objects of commit " +
                                   order.commit.hex()};
  return err.as(Code::unavailable, "fetching commit " + order.commit.brief());
}

Status fetch_http(OstreeRepo* repo, const PullOrder& order) {
  const char* refs[] = {order.commit.hex().c_str(), nullptr};
  GVariantDict dict;
  g_variant_dict_init(&dict, nullptr);
  // A full commit id and no deltas: then libostree never asks for the summary, which a hostile or crowded server can
  // make too large to read.
  g_variant_dict_insert_value(&dict, "refs", g_variant_new_strv(refs, -1));
  g_variant_dict_insert(&dict, "disable-static-deltas", "b", TRUE);
  g_variant_dict_insert(&dict, "flags", "i", static_cast<int>(OSTREE_REPO_PULL_FLAGS_UNTRUSTED));
  g_variant_dict_insert(&dict, "override-url", "s", order.source.c_str());
  g_variant_dict_insert(&dict, "gpg-verify", "b", FALSE);
  g_variant_dict_insert(&dict, "gpg-verify-summary", "b", FALSE);
  g_variant_dict_insert(&dict, "disable-sign-verify", "b", TRUE);
  g_variant_dict_insert(&dict, "disable-sign-verify-summary", "b", TRUE);
  g_variant_dict_insert(&dict, "inherit-transaction", "b", TRUE);
  g_variant_dict_insert(&dict, "n-network-retries", "u", 1U);
  g_variant_dict_insert(&dict, "update-frequency", "u", 200U);
  const Variant options(g_variant_ref_sink(g_variant_dict_end(&dict)));
  PullPace pace(order.bytes_per_s, [] { report({{"phase", "held"}}); });
  const GRef<OstreeAsyncProgress> progress = adopt(ostree_async_progress_new_and_connect(
      reinterpret_cast<void (*)(OstreeAsyncProgress*, gpointer)>(on_progress), &pace));
  GErr err;
  // The name of a file keeps libostree from looking for a remote of that name in the repository's settings; the address
  // in the options is what counts.
  const gboolean pulled = ostree_repo_pull_with_options(repo, "file:///", options.get(), progress.get(), nullptr, err);
  ostree_async_progress_finish(progress.get());
  if (!pulled) return explain(err, order);
  return ok;
}

Status fetch_and_keep(const PullOrder& order) {
  GErr err;
  const GRef<OstreeRepo> repo = adopt(ostree_repo_open_at(kRepositoryFd, ".", nullptr, err));
  if (!repo) return failed(err, "opening the repository");
  RepoWrite write = HC_TRY(RepoWrite::begin(repo.get(), nullptr));
  Status fetched = order.is_local ? import_local(repo.get(), order, report_progress) : fetch_http(repo.get(), order);
  // libostree takes the mark away before the objects are on the disk.
  GErr mark_err;
  if (!ostree_repo_mark_commit_partial(repo.get(), order.commit.hex().c_str(), TRUE, mark_err))
    return failed(mark_err, "marking commit " + order.commit.brief() + " as incomplete");
  // What did arrive was checked, each object by itself: kept, so that the next try starts from there.
  report_progress("write", 0, 0);
  Status kept = write.commit(nullptr);
  return fetched ? kept : fetched;
}

Result<PullOrder> read_order(char** argv) {
  Result<Commit> commit = Commit::parse(argv[3]);
  if (!commit) return commit.error();
  return PullOrder{argv[2], argv[1] == std::string_view("local"), *commit, std::strtoull(argv[4], nullptr, 10),
                   std::strtoull(argv[5], nullptr, 10)};
}

}  // namespace

void run_pull_child(char** argv) {
  // Dies with the parent; the second look closes the gap before prctl().
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (std::to_string(::getppid()) != argv[6]) ::_exit(1);
  const Result<PullOrder> order = read_order(argv);
  if (!order) ::_exit(1);
  ::signal(SIGXFSZ, SIG_IGN);  // the write fails instead
  if (order->largest_file > 0) {
    const rlimit limit{order->largest_file, order->largest_file};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  const Status done = fetch_and_keep(*order);
  Json end = {{"phase", "end"}, {"ok", static_cast<bool>(done)}};
  if (!done) {
    end["code"] = name(done.error().code());
    end["text"] = printable(done.error().text());
    end["hint"] = done.error().hint();
  }
  report(end);
  ::_exit(0);
}

}  // namespace hc
