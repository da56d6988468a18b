#include <curl/curl.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/net/http.h"
#include "engine/net/part_file.h"
#include "engine/net/transfer.h"

namespace hc {
namespace {

// What If-Range may be asked with: a strong ETag, or a date so far in the past that a second change within that second
// cannot hide behind it (RFC 9110, 8.8.2.2). Empty: the server cannot vouch for the file.
std::string validator_of(const Answer& answer) {
  const std::string etag = answer.header("etag");
  if (!etag.empty()) return etag.front() == '"' ? etag : "";
  constexpr std::int64_t kFarSeconds = 60;
  const std::string modified = answer.header("last-modified");
  const std::int64_t then = curl_getdate(modified.c_str(), nullptr);
  const std::int64_t now = curl_getdate(answer.header("date").c_str(), nullptr);
  return then >= 0 && now >= 0 && now - then >= kFarSeconds ? modified : "";
}

struct Range {
  std::uint64_t start = 0;
  std::optional<std::uint64_t> total;
};

// "bytes 100-199/200"; the total may be `*`.
std::optional<Range> parse_content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  const std::size_t dash = text.find('-');
  const std::size_t slash = text.find('/');
  if (text.rfind(kUnit, 0) != 0 || dash == std::string::npos || slash == std::string::npos) return std::nullopt;
  const auto number = [](std::string_view digits) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  const auto start = number(text.substr(kUnit.size(), dash - kUnit.size()));
  if (!start) return std::nullopt;
  return Range{*start, number(text.substr(slash + 1))};
}

class Reporter {
 public:
  explicit Reporter(const ProgressFn& progress) : progress_(progress) {}
  void tell(std::uint64_t done, std::uint64_t total) {
    constexpr std::int64_t kEveryMs = 100;
    const std::int64_t now = SystemClock().monotonic_ms();
    if (!progress_ || (done != total && now - last_ < kEveryMs)) return;
    last_ = now;
    progress_({"fetching", done, total, true});
  }

 private:
  const ProgressFn& progress_;
  std::int64_t last_ = 0;
};

class Download {
 public:
  Download(const Url& url, fs::path path, std::optional<std::uint64_t> size, const ProgressFn& progress, PartFile part)
      : url_(url), path_(std::move(path)), size_(size), report_(progress), part_(std::move(part)) {}

  Status run(const HttpLimits& limits, const StopToken& stop) {
    if (size_ && part_.size() > *size_) HC_TRY(part_.restart(""));
    furthest_ = part_.size();
    const bool complete = size_ && part_.size() == *size_ && !part_.validator().empty();
    if (!complete) {
      const auto moved = [this] { return std::exchange(furthest_, std::max(furthest_, part_.size())) < part_.size(); };
      HC_TRY(with_attempts(
          limits, stop, [&] { return attempt(limits, stop); }, moved));
    }
    return part_.finish();
  }

 private:
  // A part that the server does not want to go on with is thrown away, once.
  Outcome attempt(const HttpLimits& limits, const StopToken& stop) {
    Outcome outcome = ask(limits, stop);
    if (!stale_) return outcome;
    const Status emptied = part_.restart("");
    return emptied ? ask(limits, stop) : Outcome{emptied};
  }

  Outcome ask(const HttpLimits& limits, const StopToken& stop) {
    stale_ = false;
    asked_from_ = part_.validator().empty() ? 0 : part_.size();
    Exchange exchange;
    if (asked_from_ > 0)
      exchange.headers = {"Range: bytes=" + std::to_string(asked_from_) + "-", "If-Range: " + part_.validator()};
    exchange.begin = [this](const Answer& answer) { return begin(answer); };
    exchange.body = [this](std::string_view piece) { return take(piece); };
    Outcome outcome = transfer(url_, exchange, limits, stop);
    if (outcome.http_status == 416 && asked_from_ > 0) stale_ = true;
    if (outcome.status) return ended();
    return outcome;
  }

  Status begin(const Answer& answer) {
    const std::string encoding = answer.header("content-encoding");
    if (!encoding.empty() && encoding != "identity")
      return Error(Code::invalid, answer.host + " changes files on the way (Content-Encoding " + quote(encoding) + ")");
    if (answer.status == 206) return go_on(answer);
    if (answer.status != 200)
      return Error(Code::unavailable, answer.host + " answered without content (status " +
                                          std::to_string(answer.status) + ") where data was wanted");
    total_ = answer.length();
    HC_TRY(check_total(answer.host));
    return part_.restart(validator_of(answer));
  }

  Status go_on(const Answer& answer) {
    const std::optional<Range> range = parse_content_range(answer.header("content-range"));
    const std::string etag = answer.header("etag");
    const bool by_etag = part_.validator().rfind('"', 0) == 0;
    const bool same = asked_from_ > 0 && range && range->start == asked_from_ &&
                      (!by_etag || etag.empty() || etag == part_.validator()) &&
                      (!size_ || !range->total || range->total == size_);
    stale_ = !same;
    if (stale_) return Error(Code::unavailable, answer.host + " sent another part than was asked for");
    total_ = range->total;
    return check_total(answer.host);
  }

  Status check_total(const std::string& host) const {
    if (size_ && total_ && *total_ != *size_)
      return Error(Code::invalid, url_.shown() + " has " + std::to_string(*total_) + " bytes on " + host + " and not " +
                                      std::to_string(*size_));
    const Space space = HC_TRY(free_space(path_.has_parent_path() ? path_.parent_path() : fs::path(".")));
    const std::uint64_t all = total_ ? *total_ : size_.value_or(0);
    if (all > space.bytes + part_.size())
      return Error(Code::no_space, "downloading " + url_.shown() + " needs " + human_bytes(all - part_.size()) +
                                       ", and " + human_bytes(space.bytes) + " are free");
    return ok;
  }

  Status take(std::string_view piece) {
    if (size_ && piece.size() > *size_ - part_.size())
      return Error(Code::invalid, url_.shown() + " has more than the " + std::to_string(*size_) + " bytes expected");
    HC_TRY(part_.append(piece));
    report_.tell(part_.size(), total_ ? *total_ : size_.value_or(0));
    return ok;
  }

  // The connection ended well; is the file whole?
  Outcome ended() {
    const std::optional<std::uint64_t> whole = size_ ? size_ : total_;
    if (part_.size() == 0 && whole.value_or(1) != 0)
      return {Error(Code::unavailable, url_.host + " answered with nothing where data was wanted"), true};
    if (whole && part_.size() != *whole)
      return {Error(Code::unavailable, url_.shown() + " ended after " + std::to_string(part_.size()) + " of " +
                                           std::to_string(*whole) + " bytes"),
              true};
    return {};
  }

  const Url& url_;
  fs::path path_;
  std::optional<std::uint64_t> size_;
  Reporter report_;
  PartFile part_;
  std::optional<std::uint64_t> total_;
  std::uint64_t asked_from_ = 0;
  std::uint64_t furthest_ = 0;
  bool stale_ = false;
};

Status copy_local(const Url& url, const fs::path& path, std::optional<std::uint64_t> size, const ProgressFn& progress,
                  const StopToken& stop) {
  const fs::path source = HC_TRY(url.path());
  const UniqueFd from(::open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!from && errno == ENOENT) return Error(Code::invalid, source.string() + " was not found");
  std::error_code error;
  if (!from || !fs::is_regular_file(source, error))
    return Error(Code::invalid, source.string() + " is no readable file");
  PartFile part = HC_TRY(PartFile::open(path, url.text));
  HC_TRY(part.restart(""));
  Reporter report(progress);
  std::array<char, 65536> buffer{};
  while (true) {
    if (stop.requested()) return Error(Code::cancelled, "stopped while copying " + source.string());
    const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
    if (got < 0) return Error::from_errno(errno, "reading " + source.string());
    if (got == 0) break;
    HC_TRY(part.append({buffer.data(), static_cast<std::size_t>(got)}));
    report.tell(part.size(), size.value_or(0));
  }
  if (size && part.size() != *size)
    return Error(Code::invalid,
                 source.string() + " has " + std::to_string(part.size()) + " bytes and not " + std::to_string(*size));
  return part.finish();
}

}  // namespace

Status http_download(const std::string& url, const fs::path& path, std::optional<std::uint64_t> size,
                     const HttpLimits& limits, const ProgressFn& progress, const StopToken& stop) {
  const Url place = HC_TRY(Url::parse(url));
  if (place.scheme == "file") return copy_local(place, path, size, progress, stop);
  PartFile part = HC_TRY(PartFile::open(path, place.text.substr(0, place.text.find('?'))));
  return Download(place, path, size, progress, std::move(part)).run(limits, stop);
}

}  // namespace hc
