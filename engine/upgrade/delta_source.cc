#include "engine/upgrade/delta_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/text.h"
#include "engine/delta/apply.h"
#include "engine/delta/wire.h"
#include "engine/net/stream.h"
#include "engine/store/object_import.h"

namespace hc {
namespace {

constexpr std::size_t kPiece = 256 << 10;
constexpr std::int64_t kKeepEveryMs = 30'000;  // what a power cut may cost

std::string delta_url(const std::string& url, const Commit& to, const Commit& from, const char* extension) {
  return url + "/honeycomb/deltas/" + to.hex() + "/" + from.hex() + extension;
}

// "Not there" is an answer, not a failure.
bool is_not_there(const Error& error) {
  return error.code() == Code::invalid && error.text().find("not found") != std::string::npos;
}

class Teller {
 public:
  Teller(const ProgressFn& progress, std::uint64_t total) : progress_(progress), total_(total) {}
  void tell(const char* what, std::uint64_t done) {
    constexpr std::int64_t kEveryMs = 100;
    const std::int64_t now = SystemClock().monotonic_ms();
    if (!progress_ || (done != total_ && now - last_ < kEveryMs)) return;
    last_ = now;
    progress_({what, done, total_, true});
  }

 private:
  const ProgressFn& progress_;
  std::uint64_t total_;
  std::int64_t last_ = 0;
};

// Reads a bundle's data from `at` on.
Status read_data(const Delta& bundle, std::uint64_t at, const StopToken& stop,
                 const std::function<Status(std::string_view)>& take) {
  const UniqueFd fd(::open(bundle.place.c_str(), O_RDONLY | O_CLOEXEC));
  const auto gone = [&](int why) {
    return Error::from_errno(why, "reading the bundle " + bundle.place)
        .with_hint("nothing of it was kept; see that its stick is in place, then deploy it again");
  };
  if (!fd) return gone(errno);
  std::vector<char> piece(kPiece);
  const std::uint64_t size = bundle.head.data_size();
  while (at < size) {
    if (stop.requested()) return Error(Code::cancelled, "stopped on request; nothing of the bundle was kept");
    const std::size_t wanted = std::min<std::uint64_t>(piece.size(), size - at);
    const ssize_t got = ::pread(fd.get(), piece.data(), wanted, static_cast<off_t>(bundle.data_at + at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return gone(errno);
    if (got == 0) return Error(Code::invalid, "the bundle " + bundle.place + " has become shorter");
    HC_TRY(take({piece.data(), static_cast<std::size_t>(got)}));
    at += static_cast<std::uint64_t>(got);
  }
  return ok;
}

Error damaged(const std::string& path, const Error& error) {
  return Error(error.code(), "the bundle " + path + " cannot be used: " + error.text())
      .with_hint(error.hint().empty() ? "copy it to the stick again, and compare the two files" : error.hint());
}

// The checksum of every block, before any is applied.
Status check_blocks(const Delta& bundle, Teller& teller, const StopToken& stop) {
  std::string block;
  std::size_t number = 0;
  std::uint64_t seen = 0;
  const std::vector<DeltaBlock>& blocks = bundle.head.blocks;
  return read_data(bundle, 0, stop, [&](std::string_view piece) -> Status {
    seen += piece.size();
    teller.tell("checking the bundle", seen);
    while (!piece.empty()) {
      const std::size_t size = std::min<std::uint64_t>(piece.size(), blocks[number].size() - block.size());
      block += piece.substr(0, size);
      piece.remove_prefix(size);
      if (block.size() < blocks[number].size()) return ok;
      if (crc64(block) != blocks[number].check)
        return damaged(bundle.place, Error(Code::invalid, "block " + std::to_string(number) + " of it is damaged"));
      ++number;
      block.clear();
    }
    return ok;
  });
}

Result<std::string> read_start(int fd, const std::string& path, std::uint64_t size) {
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd, bytes.data() + done, size - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "reading the bundle " + path);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace

CommitBytes DeltaSource::commits() const {
  return [this](const Commit& commit) -> Result<std::string> {
    const bool here = HC_TRY(repository_.is_complete(commit));
    if (!here) {
      return Error(Code::invalid, "it leads on from commit " + commit.brief() + ", which is not on this node")
          .with_hint("take one that is complete in itself, or one from a version of `hc-os history`");
    }
    const CommitObject object = HC_TRY(repository_.commit_object(commit));
    return object.bytes;
  };
}

Result<std::optional<std::uint64_t>> DeltaSource::allowance(const Delta& delta) const {
  const TreeSize size = HC_TRY(repository_.missing({delta.head.commit, ""}));
  constexpr std::uint64_t kSlack = 1 << 20;
  if (!size.known) return std::optional<std::uint64_t>();
  return std::optional(size.bytes + kSlack);
}

Result<std::optional<Delta>> DeltaSource::look(const std::string& url, const Commit& to,
                                               const std::vector<Commit>& bases, const StopToken& stop) const {
  for (const Commit& from : bases) {
    if (from == to) continue;
    const auto bytes = http_get(delta_url(url, to, from, ".hch"), kMostHeadBytes, limits_, stop);
    if (!bytes && stop.requested()) return bytes.error();
    if (!bytes && is_not_there(bytes.error())) continue;
    auto head = bytes ? read_head(*bytes, commits()) : Result<DeltaHead>(bytes.error());
    if (head && head->from == from)
      return std::optional(Delta{to, std::move(head).value(), delta_url(url, to, from, ".hcd"), 0});
    const std::string why = head ? "it leads on from another commit than it says" : head.error().text();
    log(Level::warning, "the delta from commit " + from.brief() + " to " + to.brief() + " is of no use: " + why);
  }
  return std::optional<Delta>();
}

Result<bool> DeltaSource::fetch(const Delta& delta, const VerifiedPayload& payload, const ProgressFn& progress,
                                const StopToken& stop) const {
  const std::optional<std::uint64_t> most = HC_TRY(allowance(delta));
  const std::unique_ptr<ObjectImport> import = HC_TRY(ObjectImport::begin(repository_, payload, most));
  std::string dictionary = HC_TRY(dictionary_of(delta.head, commits()));
  DeltaApply apply(delta.head, std::move(dictionary), *import);
  HC_TRY(apply.begin());
  SystemClock clock;
  std::int64_t kept = clock.monotonic_ms();
  Teller teller(progress, delta.head.data_size());
  HttpSink sink;
  sink.offset = [&] { return apply.position(); };
  sink.take = [&](std::string_view piece) -> Status {
    HC_TRY(apply.feed(piece));
    teller.tell("fetching", apply.position());
    if (!apply.between_files() || clock.monotonic_ms() - kept < kKeepEveryMs) return ok;
    kept = clock.monotonic_ms();
    return import->keep();
  };
  Status done = http_stream(delta.place, delta.head.data_size(), sink, limits_, stop);
  if (done) done = apply.finish();
  const bool complete = HC_TRY(import->end());
  if (!done) return std::move(done).error();
  return complete;
}

Result<Delta> DeltaSource::open_bundle(const fs::path& path) const {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!fd && errno == ENOENT) return Error(Code::invalid, "there is no bundle " + path.string());
  if (!fd || ::fstat(fd.get(), &info) != 0) return Error::from_errno(errno, "opening the bundle " + path.string());
  if (!S_ISREG(info.st_mode)) return Error(Code::invalid, path.string() + " is no file");
  const std::string start = HC_TRY(read_start(fd.get(), path.string(), kDeltaPreamble));
  auto preamble = read_preamble(start);
  if (!preamble) return damaged(path.string(), preamble.error());
  const std::uint64_t head_size = kDeltaPreamble + preamble->packed;
  const std::string bytes = HC_TRY(read_start(fd.get(), path.string(), head_size));
  auto head = read_head(bytes, commits());
  if (!head) return damaged(path.string(), head.error());
  const std::uint64_t whole = head_size + head->data_size();
  if (static_cast<std::uint64_t>(info.st_size) != whole)
    return damaged(path.string(), Error(Code::invalid, "it has " + std::to_string(info.st_size) + " bytes and not " +
                                                           std::to_string(whole)));
  return Delta{preamble->to, std::move(head).value(), path.string(), head_size};
}

Status DeltaSource::take_bundle(const Delta& bundle, const VerifiedPayload& payload, const ProgressFn& progress,
                                const StopToken& stop) const {
  Teller teller(progress, bundle.head.data_size());
  HC_TRY(check_blocks(bundle, teller, stop));
  const std::optional<std::uint64_t> most = HC_TRY(allowance(bundle));
  std::string dictionary = HC_TRY(dictionary_of(bundle.head, commits()));
  const std::unique_ptr<ObjectImport> import = HC_TRY(ObjectImport::begin(repository_, payload, most));
  DeltaApply apply(bundle.head, std::move(dictionary), *import);
  HC_TRY(apply.begin());
  Status fed = read_data(bundle, apply.position(), stop, [&](std::string_view piece) -> Status {
    HC_TRY(apply.feed(piece));
    teller.tell("taking the bundle", apply.position());
    return ok;
  });
  if (fed) fed = apply.finish();
  if (!fed && fed.error().code() != Code::io && fed.error().code() != Code::cancelled &&
      fed.error().code() != Code::no_space)
    return damaged(bundle.place, fed.error());
  HC_TRY(std::move(fed));
  const bool complete = HC_TRY(import->end());
  if (complete) return ok;
  return damaged(bundle.place, Error(Code::invalid, "it lacks objects of commit " + bundle.to.brief()));
}

}  // namespace hc
