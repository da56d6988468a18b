#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "engine/base/json.h"
#include "engine/base/text.h"
#include "engine/store/ostree.h"
#include "engine/store/partial_mark.h"
#include "engine/store/pull_child.h"
#include "engine/store/repository.h"

namespace hc {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kTick = 100;    // ms between looks at the stop token
constexpr int kAttempts = 5;  // after a broken connection, as long as each brings something
constexpr std::uint64_t kSlack = 1 << 20;

// Runs before main() in every program that can pull; does nothing unless this process is the child.
__attribute__((constructor)) void become_child(int argc, char** argv) {
  if (argc == kPullChildArguments && std::string_view(argv[0]) == kPullChildName) run_pull_child(argv);
}

struct Child {
  pid_t pid = -1;
  UniqueFd report;
};

Result<Child> start(const PullOrder& order, int repository) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error::from_errno(errno, "making a pipe");
  Child child{-1, UniqueFd(ends[0])};
  const UniqueFd write_end(ends[1]);
  // Out of the way of the numbers that the child expects: one dup2() must not overwrite what the next one needs.
  const UniqueFd report(::fcntl(write_end.get(), F_DUPFD_CLOEXEC, kRepositoryFd + 1));
  const UniqueFd directory(::fcntl(repository, F_DUPFD_CLOEXEC, kRepositoryFd + 1));
  if (!report || !directory) return Error::from_errno(errno, "starting the child that fetches");

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, report.get(), kReportFd);
  posix_spawn_file_actions_adddup2(&actions, directory.get(), kRepositoryFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  // Its own process group: Ctrl-C is for the parent to handle.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);

  const std::array<std::string, kPullChildArguments> words = {kPullChildName,
                                                              order.is_local ? "local" : "http",
                                                              order.source,
                                                              order.commit.hex(),
                                                              std::to_string(order.largest_file),
                                                              std::to_string(order.bytes_per_s),
                                                              std::to_string(::getpid())};
  std::array<char*, kPullChildArguments + 1> argv{};
  std::transform(words.begin(), words.end(), argv.begin(),
                 [](const std::string& word) { return const_cast<char*>(word.c_str()); });
  const int failure = ::posix_spawn(&child.pid, "/proc/self/exe", &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failure != 0) return Error::from_errno(failure, "starting the child that fetches");
  return child;
}

// What one child said so far.
struct Heard {
  std::uint64_t bytes = 0;
  std::uint64_t objects = 0;
  bool writing = false;  // all has arrived; the disk may take its time now
  std::optional<Status> end;
};

void hear(const std::string& line, Heard& heard) {
  const Result<Json> json = parse_json(line);
  if (!json) return;
  const std::string phase = json->value("phase", "");
  heard.writing = phase == "write";
  if (phase == "fetch") {
    heard.bytes = json->value("bytes", std::uint64_t{0});
    heard.objects = json->value("objects", std::uint64_t{0});
  } else if (phase == "end" && json->value("ok", false)) {
    heard.end = Status(ok);
  } else if (phase == "end") {
    heard.end = Error(code_from(json->value("code", "")), json->value("text", "")).with_hint(json->value("hint", ""));
  }
}

class Watch {
 public:
  Watch(const PullOrder& order, const PullLimits& limits, std::string host, const StopToken& stop)
      : order_(order), limits_(limits), host_(std::move(host)), stop_(stop) {}

  // Runs one child to its end. It never outlives this call.
  Status run(int repository, const std::function<void(const Heard&)>& progress, Heard& heard) const {
    const Child child = HC_TRY(start(order_, repository));
    Status status = listen(child, progress, heard);
    if (!status) ::kill(child.pid, SIGKILL);
    int how = 0;
    while (::waitpid(child.pid, &how, 0) < 0 && errno == EINTR) continue;
    if (!status) return status;
    if (heard.end) return *heard.end;
    return Error(Code::unavailable, "the child that fetches died" +
                                        (WIFSIGNALED(how) ? " of signal " + std::to_string(WTERMSIG(how)) : ""));
  }

 private:
  // Ok: the child closed its end. An error: it must be killed.
  Status listen(const Child& child, const std::function<void(const Heard&)>& progress, Heard& heard) const {
    std::string text;
    auto last = steady_clock::now();
    while (true) {
      if (stop_.requested()) return Error(Code::cancelled, "stopped on request; what has arrived is kept");
      // A local disk can be slow but does not fall silent for ever.
      if (!order_.is_local && !heard.writing && steady_clock::now() - last > milliseconds(limits_.stall_ms))
        return Error(Code::unavailable, host_ + " sent nothing for " + human_duration(limits_.stall_ms))
            .with_hint("what has arrived is kept; try again when the connection is better");
      pollfd wait{child.report.get(), POLLIN, 0};
      if (::poll(&wait, 1, kTick) <= 0) continue;
      std::array<char, 4096> buffer{};
      const ssize_t size = ::read(child.report.get(), buffer.data(), buffer.size());
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return ok;
      last = steady_clock::now();
      text.append(buffer.data(), static_cast<std::size_t>(size));
      for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1))
        hear(text.substr(0, end), heard);
      progress(heard);
    }
  }

  const PullOrder& order_;
  const PullLimits& limits_;
  const std::string host_;
  const StopToken& stop_;
};

struct Source {
  std::string place;  // what libostree is given
  bool is_local = false;
  std::string host;    // for people: no credentials in it
  std::string secret;  // user and password in the URL
};

Result<Source> parse_source(const std::string& url) {
  if (url.starts_with("file://")) {
    const GText path(g_filename_from_uri(url.c_str(), nullptr, nullptr));
    if (!path) return Error(Code::invalid, quote(url) + " is no file URL");
    return Source{path.get(), true, path.get(), ""};
  }
  if (!url.starts_with("http://") && !url.starts_with("https://")) {
    if (url.empty() || url.find("://") != std::string::npos)
      return Error(Code::invalid, quote(url) + " is no address to fetch from")
          .with_hint("give an http, https or file URL, or a directory");
    const std::string path = fs::absolute(url).lexically_normal().string();
    return Source{path, true, path, ""};
  }
  const Handle<GUri, g_uri_unref> uri(g_uri_parse(url.c_str(), G_URI_FLAGS_NONE, nullptr));
  if (!uri || !g_uri_get_host(uri.get())) return Error(Code::invalid, quote(url) + " is no valid URL");
  const char* secret = g_uri_get_userinfo(uri.get());
  return Source{url, false, g_uri_get_host(uri.get()), secret ? secret : ""};
}

// Why the fetch failed, without the password that a URL in the text may carry. `other_signatures`: the source gave
// something else for them than what was verified. Bad objects on top of that are no forgery but some other server.
Error explain(const Error& error, const Source& source, bool other_signatures) {
  if (!source.is_local && other_signatures && error.code() == Code::untrusted)
    return Error(Code::unavailable,
                 source.host + " does not answer like the update repository, but perhaps with a web page")
        .with_hint("check the address; behind a login page (captive portal), log in first");
  std::string text = error.text();
  constexpr std::string_view kHidden = "***";
  for (std::size_t at = 0; !source.secret.empty() && (at = text.find(source.secret, at)) != std::string::npos;
       at += kHidden.size())
    text.replace(at, source.secret.size(), kHidden);
  return Error(error.code(), "fetching from " + source.host + ": " + text).with_hint(error.hint());
}

std::uint64_t largest_object(const CommitObject& object) {
  PtrArray sizes;
  const Variant commit = variant_of(object.bytes, OSTREE_COMMIT_GVARIANT_STRING);
  if (!ostree_commit_get_object_sizes(commit.get(), out(sizes), nullptr)) return 0;
  std::uint64_t largest = 0;
  for (guint i = 0; i < sizes->len; ++i) {
    const auto* entry = static_cast<const OstreeCommitSizesEntry*>(g_ptr_array_index(sizes.get(), i));
    largest = std::max({largest, entry->unpacked, entry->archived});
  }
  return largest + kSlack;
}

// Waits between two attempts, longer each time.
void pause(int attempt, const StopToken& stop) {
  for (int waited = 0; waited < attempt * 1000 && !stop.requested(); waited += kTick)
    std::this_thread::sleep_for(milliseconds(kTick));
}

}  // namespace

Status mark_partial(OstreeRepo* repo, const Commit& commit, bool partial) {
  GErr err;
  if (!ostree_repo_mark_commit_partial(repo, commit.hex().c_str(), partial, err))
    return failed(err, "marking how far commit " + commit.brief() + " is");
  return sync_dir(fs::path("/proc/self/fd") / std::to_string(ostree_repo_get_dfd(repo)) / "state");
}

Status Repository::pull(const std::string& url, const VerifiedPayload& payload, const PullLimits& limits,
                        const ProgressFn& progress, const StopToken& stop) {
  const Source source = HC_TRY(parse_source(url));
  const Commit& commit = payload.commit();
  const CommitObject object = HC_TRY(commit_object(commit));
  const bool here = HC_TRY(is_complete(commit));
  if (here) return ok;
  HC_TRY(mark_partial(repo_.get(), commit, true));

  const TreeSize size = HC_TRY(missing(object));
  const std::uint64_t total = source.is_local ? size.bytes : size.download_bytes;
  std::uint64_t before = 0;  // bytes of earlier attempts
  const auto tell = [&](const Heard& heard) {
    const std::uint64_t done = before + heard.bytes;
    if (progress) progress({"fetching", total ? std::min(done, total) : done, total, true});
  };
  const PullOrder order{source.place, source.is_local, commit, largest_object(object), limits.bytes_per_s};
  const Watch watch(order, limits, source.host, stop);
  Status done = ok;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    const TreeSize wanted = HC_TRY(missing(object));
    Heard heard;
    done = watch.run(ostree_repo_get_dfd(repo_.get()), tell, heard);
    const TreeSize still = HC_TRY(missing(object));
    const bool broke_off = !done && done.error().code() == Code::unavailable && heard.end;
    if (!broke_off || still.objects == wanted.objects) break;
    before += heard.bytes;
    pause(attempt, stop);
  }
  // libostree takes over whatever signatures the source has beside the commit: those that were verified stay.
  const CommitObject after = HC_TRY(commit_object(commit));
  const bool other_signatures = after.detached != object.detached;
  if (other_signatures) HC_TRY(set_detached(commit, object.detached));
  if (!done) return explain(done.error(), source, other_signatures);
  HC_TRY(mark_partial(repo_.get(), commit, false));
  const bool complete = HC_TRY(is_complete(commit));
  if (!complete) return Error(Code::internal, "commit " + commit.brief() + " lacks objects after the fetch");
  if (progress) progress({"fetching", total, total, true});
  return ok;
}

}  // namespace hc
