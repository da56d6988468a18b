#include "engine/archive/archive_child.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "engine/base/json.h"
#include "engine/base/process.h"
#include "engine/base/text.h"

namespace hc {
namespace {

// AddressSanitizer reserves terabytes.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

constexpr const char* kUnpackChild = "unpack-archive-child";
constexpr int kArguments = 7;
constexpr uid_t kNobody = 65534;
constexpr std::int64_t kWallMs = 600'000;
constexpr rlim_t kCpuSeconds = 300;
constexpr rlim_t kMemory = 512 << 20;
constexpr rlim_t kFiles = 64;

Status limit(int what, rlim_t value, const char* name) {
  const rlimit both{value, value};
  if (::setrlimit(static_cast<__rlimit_resource>(what), &both) != 0)
    return Error::from_errno(errno, std::string("limiting its ") + name);
  return ok;
}

Status set_limits(const ArchiveLimits& limits) {
  ::signal(SIGXFSZ, SIG_IGN);  // the write fails instead
  HC_TRY(limit(RLIMIT_CORE, 0, "core dumps"));
  HC_TRY(limit(RLIMIT_CPU, kCpuSeconds, "time"));
  HC_TRY(limit(RLIMIT_NOFILE, kFiles, "open files"));
  // The gunzipped archive is one file, with up to four blocks of header and padding for each member.
  HC_TRY(limit(RLIMIT_FSIZE, limits.bytes + limits.members * 2048 + (2 << 20), "file size"));
  if (!kSanitized) HC_TRY(limit(RLIMIT_AS, kMemory, "memory"));
  return ok;
}

// `tree` becomes nobody's, and so do we.
Status drop_rights(int tree) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Error::from_errno(errno, "giving up rights");
  if (::geteuid() != 0) return ok;
  if (::fchown(tree, kNobody, kNobody) != 0 || ::setgroups(0, nullptr) != 0 ||
      ::setresgid(kNobody, kNobody, kNobody) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0)
    return Error::from_errno(errno, "becoming nobody");
  return ok;
}

Result<ArchiveContents> unpack(char** argv) {
  const UniqueFd archive(::open(argv[2], O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!archive) return Error::from_errno(errno, "opening " + std::string(argv[2]));
  const UniqueFd tree(::open(argv[3], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!tree) return Error::from_errno(errno, "opening " + std::string(argv[3]));
  ArchiveLimits limits;
  limits.bytes = std::strtoull(argv[4], nullptr, 10);
  limits.members = std::strtoull(argv[5], nullptr, 10);
  limits.allow_setuid = std::string_view(argv[6]) == "setuid";
  HC_TRY(set_limits(limits));
  HC_TRY(drop_rights(tree.get()));
  return unpack_archive(archive.get(), tree.get(), limits);
}

// The child's whole life. `argv`: program, kUnpackChild, archive, tree, bytes, members, "setuid" or "".
[[noreturn]] void run_unpack_child(int argc, char** argv) {
  if (argc != kArguments) ::_exit(2);
  const Result<ArchiveContents> contents = unpack(argv);
  Json answer = {{"ok", static_cast<bool>(contents)}};
  if (contents) {
    answer["members"] = contents->members;
    answer["bytes"] = contents->bytes;
  } else {
    answer["code"] = name(contents.error().code());
    answer["text"] = printable(contents.error().text());
    answer["hint"] = contents.error().hint();
  }
  std::fputs(dump_json(answer, -1).c_str(), stdout);
  std::fflush(stdout);
  // Without the leak check of a sanitizer, which a process without rights cannot do.
  ::_exit(0);
}

// Runs before main() in every program that can unpack; does nothing unless this process is the child.
__attribute__((constructor)) void become_child(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == kUnpackChild) run_unpack_child(argc, argv);
}

Result<ArchiveContents> answer_of(const std::string& output) {
  const Json answer = HC_TRY(parse_json(output).in("the process that unpacks gave no answer"));
  if (answer.value("ok", false)) return ArchiveContents{answer.value("members", 0UL), answer.value("bytes", 0UL)};
  return Error(code_from(answer.value("code", "")), answer.value("text", "")).with_hint(answer.value("hint", ""));
}

}  // namespace

Result<ArchiveContents> unpack_in_child(const fs::path& archive, const fs::path& tree, const ArchiveLimits& limits,
                                        const StopToken& stop) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return Error::from_errno(error.value(), "looking for this program");
  CommandOptions options;
  options.timeout_ms = kWallMs;
  const auto run =
      run_command({program, kUnpackChild, fs::absolute(archive), fs::absolute(tree), std::to_string(limits.bytes),
                   std::to_string(limits.members), limits.allow_setuid ? "setuid" : ""},
                  options, stop);
  if (!run && run.error().code() == Code::cancelled) return run.error();
  if (!run)
    return Error(Code::invalid, "the archive could not be read within the limits set for it: " + run.error().text());
  return answer_of(run->output);
}

}  // namespace hc
