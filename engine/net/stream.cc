#include "engine/net/stream.h"

#include "engine/base/text.h"
#include "engine/net/transfer.h"

namespace hc {
namespace {

class Stream {
 public:
  Stream(const Url& url, std::uint64_t size, const HttpSink& sink) : url_(url), size_(size), sink_(sink) {}

  Outcome attempt(const HttpLimits& limits, const StopToken& stop) {
    const std::uint64_t from = sink_.offset();
    Exchange exchange;
    if (from > 0) exchange.headers = {"Range: bytes=" + std::to_string(from) + "-"};
    exchange.begin = [&](const Answer& answer) { return begin(answer, from); };
    exchange.body = [this](std::string_view piece) { return take(piece); };
    Outcome outcome = transfer(url_, exchange, limits, stop);
    if (!outcome.status || sink_.offset() == size_) return outcome;
    return {Error(Code::unavailable, url_.shown() + " ended after " + std::to_string(sink_.offset()) + " of " +
                                         std::to_string(size_) + " bytes"),
            true};
  }

 private:
  Status begin(const Answer& answer, std::uint64_t from) {
    const std::string encoding = answer.header("content-encoding");
    if (!encoding.empty() && encoding != "identity")
      return Error(Code::invalid, answer.host + " changes files on the way (Content-Encoding " + quote(encoding) + ")");
    skip_ = from;
    if (answer.status == 200) return ok;
    skip_ = 0;
    const std::string range = answer.header("content-range");
    if (answer.status == 206 && range.starts_with("bytes " + std::to_string(from) + "-")) return ok;
    return Error(Code::unavailable, answer.host + " sent another part than was asked for");
  }

  Status take(std::string_view piece) {
    const std::size_t skipped = std::min<std::uint64_t>(skip_, piece.size());
    skip_ -= skipped;
    piece.remove_prefix(skipped);
    return piece.empty() ? Status(ok) : sink_.take(piece);
  }

  const Url& url_;
  const std::uint64_t size_;
  const HttpSink& sink_;
  std::uint64_t skip_ = 0;  // bytes of a server that knows no ranges
};

}  // namespace

Status http_stream(const std::string& url, std::uint64_t size, const HttpSink& sink, const HttpLimits& limits,
                   const StopToken& stop) {
  const Url place = HC_TRY(Url::parse(url));
  if (place.scheme == "file") return Error(Code::invalid, "a file is not streamed");
  if (sink.offset() == size) return ok;
  Stream stream(place, size, sink);
  std::uint64_t furthest = sink.offset();
  const auto moved = [&] { return std::exchange(furthest, sink.offset()) < sink.offset(); };
  return with_attempts(
      limits, stop, [&] { return stream.attempt(limits, stop); }, moved);
}

}  // namespace hc
