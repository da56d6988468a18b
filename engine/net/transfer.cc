#include "engine/net/transfer.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "engine/base/clock.h"
#include "engine/base/handle.h"
#include "engine/base/text.h"

namespace hc {
namespace {

using Easy = Handle<CURL, curl_easy_cleanup>;
using Multi = Handle<CURLM, curl_multi_cleanup>;
using HeaderList = Handle<curl_slist, curl_slist_free_all>;

constexpr std::size_t kMostHeaderBytes = 256 << 10;

bool is_success(long status) { return status >= 200 && status < 300; }
bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
  return result;
}

// What libcurl's callbacks work on. They may be called only while the transfer that owns it runs.
class Receiver {
 public:
  Receiver(const Exchange& exchange, std::string host) : exchange_(exchange) { answer_.host = std::move(host); }

  static std::size_t on_header(char* data, std::size_t, std::size_t size, void* self) {
    return static_cast<Receiver*>(self)->header({data, size}) ? size : 0;
  }
  static std::size_t on_body(char* data, std::size_t, std::size_t size, void* self) {
    return static_cast<Receiver*>(self)->body({data, size}) ? size : 0;
  }

  // An answer without a body has never reached body().
  void finish() {
    if (is_success(answer_.status)) start("");
  }

  const Answer& answer() const { return answer_; }
  std::size_t header_bytes() const { return header_bytes_; }
  // What begin() or body() said; Ok where the transfer was cut only because the rest is of no use.
  const Status& status() const { return status_; }

 private:
  bool header(std::string_view line) {
    header_bytes_ += line.size();
    if (header_bytes_ > kMostHeaderBytes) {
      status_ = Error(Code::invalid, answer_.host + " sends headers without end");
      return false;
    }
    line = trimmed(line);
    if (line.substr(0, 5) == "HTTP/") {
      answer_.headers.clear();
      const std::size_t space = line.find(' ');
      const std::string_view code = line.substr(std::min(space + 1, line.size()), 3);
      answer_.status = 0;
      std::from_chars(code.data(), code.data() + code.size(), answer_.status);
    } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
      answer_.headers[lower(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
    }
    return true;
  }

  bool body(std::string_view piece) {
    if (!is_success(answer_.status)) return false;
    if (!start(piece)) return false;
    status_ = exchange_.body(piece);
    return static_cast<bool>(status_);
  }

  bool start(std::string_view first) {
    if (started_) return static_cast<bool>(status_);
    started_ = true;
    const std::string type = lower(answer_.header("content-type"));
    const bool html = type.rfind("text/html", 0) == 0 || type.rfind("application/xhtml", 0) == 0;
    // The first bytes of a later part of a file may be anything.
    const bool page = html || (answer_.status != 206 && looks_like_html(first));
    status_ = page ? Status(html_from(answer_.host)) : exchange_.begin(answer_);
    return static_cast<bool>(status_);
  }

  const Exchange& exchange_;
  Answer answer_;
  std::size_t header_bytes_ = 0;
  bool started_ = false;
  Status status_ = ok;
};

// How the connection itself ended.
struct Wire {
  CURLcode code = CURLE_OK;
  std::string text;  // libcurl's words; they hold no address but host and port
  bool stopped = false;
  bool stalled = false;
};

std::int64_t now_ms() { return SystemClock().monotonic_ms(); }

bool connected(CURL* easy) {
  curl_off_t time = 0;
  return curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &time) == CURLE_OK && time > 0;
}

std::uint64_t bytes_seen(CURL* easy, const Receiver& receiver) {
  curl_off_t size = 0;
  curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &size);
  return static_cast<std::uint64_t>(size) + receiver.header_bytes();
}

// Drives one transfer. libcurl limits the time to connect; from then on silence is measured here, on monotonic time.
Wire drive(CURL* easy, const Receiver& receiver, const HttpLimits& limits, const StopToken& stop) {
  constexpr int kPollMs = 100;
  Wire wire;
  const Multi multi(curl_multi_init());
  curl_multi_add_handle(multi.get(), easy);
  std::uint64_t seen = 0;
  std::int64_t last_byte = now_ms();
  int running = 1;
  while (true) {
    curl_multi_perform(multi.get(), &running);
    if (running == 0) break;
    const std::uint64_t now_seen = bytes_seen(easy, receiver);
    if (now_seen != seen || !connected(easy)) last_byte = now_ms();
    seen = now_seen;
    wire.stopped = stop.requested();
    wire.stalled = now_ms() - last_byte > limits.stall_ms;
    if (wire.stopped || wire.stalled) break;
    curl_multi_poll(multi.get(), nullptr, 0, kPollMs, nullptr);
  }
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg == CURLMSG_DONE) wire.code = message->data.result;
  }
  curl_multi_remove_handle(multi.get(), easy);
  return wire;
}

HeaderList header_list(const std::vector<std::string>& lines) {
  HeaderList list;
  for (const std::string& line : lines) list.reset(curl_slist_append(list.release(), line.c_str()));
  return list;
}

void set_up(CURL* easy, const Url& url, const Exchange& exchange, const HttpLimits& limits) {
  curl_easy_setopt(easy, CURLOPT_URL, url.text.c_str());
  if (!url.user.empty() || !url.password.empty()) {
    curl_easy_setopt(easy, CURLOPT_USERNAME, url.user.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, url.password.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect_ms));
  curl_easy_setopt(easy, CURLOPT_MAX_RECV_SPEED_LARGE, static_cast<curl_off_t>(limits.bytes_per_s));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  // A name server that never answers must not hold us when we have given up.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "honeycomb/" HC_VERSION);
  if (exchange.unpack) curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
}

Outcome may_pass(std::string text) { return {Error(Code::unavailable, std::move(text)), true}; }
Outcome final(Error error) { return {std::move(error)}; }

Outcome wire_failure(const Wire& wire, const Url& url, const HttpLimits& limits) {
  if (wire.stopped) return final(Error(Code::cancelled, "stopped while fetching " + url.shown()));
  if (wire.stalled) return may_pass(url.host + " sent nothing for " + human_duration(limits.stall_ms));
  switch (wire.code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return final(Error(Code::untrusted, url.host + " could not prove who it is: " + wire.text)
                       .with_hint("the node's clock says " + iso_time(SystemClock().wall_seconds()) +
                                  "; where that is right, its certificate authorities lack the server's"));
    case CURLE_PARTIAL_FILE:
      return may_pass(url.host + " ended the connection before everything was sent");
    case CURLE_OPERATION_TIMEDOUT:
      return may_pass("no connection to " + url.host + " within " + human_duration(limits.connect_ms));
    default:
      return may_pass("no answer from " + url.host + ": " + wire.text);
  }
}

std::int64_t retry_after_ms(const Answer& answer) {
  const std::string text = answer.header("retry-after");
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size())
    return std::clamp<std::int64_t>(seconds, 0, 3600) * 1000;
  // Both times are the server's, so that our clock does not matter.
  const std::int64_t until = curl_getdate(text.c_str(), nullptr);
  const std::int64_t from = curl_getdate(answer.header("date").c_str(), nullptr);
  return until < 0 || from < 0 ? 0 : std::clamp<std::int64_t>(until - from, 0, 3600) * 1000;
}

Outcome status_failure(const Answer& answer, const Url& url) {
  const long status = answer.status;
  Outcome outcome;
  if (status == 404 || status == 410) {
    outcome = final(Error(Code::invalid, url.shown() + " was not found on the server"));
  } else if (status == 511) {
    outcome = final(html_from(answer.host));
  } else if (status >= 500 || status == 408 || status == 425 || status == 429) {
    outcome = may_pass(answer.host + " cannot answer now (status " + std::to_string(status) + ")");
    outcome.retry_after = retry_after_ms(answer);
  } else if (status == 401 || status == 403 || status == 407) {
    outcome =
        final(Error(Code::invalid, answer.host + " refuses " + url.shown() + " (status " + std::to_string(status) + ")")
                  .with_hint("check the user, the password and the proxy that the address needs"));
  } else {
    outcome = final(Error(Code::invalid, answer.host + " answered with status " + std::to_string(status)));
  }
  outcome.http_status = status;
  return outcome;
}

struct Reply {
  Outcome outcome;
  std::string location;  // set: asks to go there instead
};

Reply ask_once(const Url& url, const Exchange& exchange, const HttpLimits& limits, const StopToken& stop) {
  const Easy easy(curl_easy_init());
  if (!easy) return {final(Error(Code::internal, "libcurl gave no handle")), ""};
  Receiver receiver(exchange, url.host);
  std::array<char, CURL_ERROR_SIZE> text{};
  const HeaderList headers = header_list(exchange.headers);
  set_up(easy.get(), url, exchange, limits);
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, text.data());
  curl_easy_setopt(easy.get(), CURLOPT_HEADERFUNCTION, &Receiver::on_header);
  curl_easy_setopt(easy.get(), CURLOPT_HEADERDATA, &receiver);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, &Receiver::on_body);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &receiver);
  Wire wire = drive(easy.get(), receiver, limits, stop);
  wire.text = printable(text[0] != 0 ? text.data() : curl_easy_strerror(wire.code));

  const Answer& answer = receiver.answer();
  const bool gone_wrong = wire.stopped || wire.stalled || (wire.code != CURLE_OK && wire.code != CURLE_WRITE_ERROR);
  if (!gone_wrong && is_redirect(answer.status) && !answer.header("location").empty())
    return {Outcome{}, answer.header("location")};
  if (wire.code == CURLE_OK && !gone_wrong) receiver.finish();
  Outcome outcome;
  if (!receiver.status()) {
    outcome = final(receiver.status().error());
  } else if (gone_wrong) {
    outcome = wire_failure(wire, url, limits);
  } else if (!is_success(answer.status)) {
    outcome = status_failure(answer, url);
  }
  outcome.http_status = answer.status;
  return {std::move(outcome), ""};
}

}  // namespace

std::string Answer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

std::optional<std::uint64_t> Answer::length() const {
  const std::string text = header("content-length");
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Outcome transfer(const Url& url, const Exchange& exchange, const HttpLimits& limits, const StopToken& stop) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialised != CURLE_OK) return final(Error(Code::internal, "libcurl did not start"));
  Url here = url;
  for (unsigned hop = 0;; ++hop) {
    Reply reply = ask_once(here, exchange, limits, stop);
    if (reply.location.empty()) return std::move(reply.outcome);
    if (hop == limits.redirects)
      return final(Error(Code::invalid, url.shown() + " redirects more than " + std::to_string(hop) + " times"));
    Result<Url> next = here.follow(reply.location);
    if (!next) return final(std::move(next).error());
    here = std::move(next).value();
  }
}

Error html_from(const std::string& host) {
  return Error(Code::unavailable, "HTML from " + host + ": a login page (captive portal) or a wrong address")
      .with_hint("open the address in a browser on the node's network, or correct it");
}

bool looks_like_html(std::string_view start) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (start.substr(0, kMark.size()) == kMark) start.remove_prefix(kMark.size());
  const std::string text = lower(trimmed(start.substr(0, 512)));
  return text.rfind("<!doctype html", 0) == 0 || text.rfind("<html", 0) == 0;
}

std::int64_t pause_before(unsigned next, const HttpLimits& limits, std::int64_t retry_after, double random) {
  constexpr std::int64_t kMost = 60'000;
  std::int64_t pause = limits.pause_ms;
  for (unsigned i = 2; i < next && pause < kMost; ++i) pause *= 2;
  const auto spread = static_cast<std::int64_t>(static_cast<double>(std::min(pause, kMost)) * (0.5 + random / 2));
  return std::min(std::max(spread, retry_after), kMost);
}

Status with_attempts(const HttpLimits& limits, const StopToken& stop, const std::function<Outcome()>& attempt,
                     const std::function<bool()>& moved) {
  constexpr std::int64_t kSliceMs = 50;
  SystemClock clock;
  for (unsigned number = 1;; ++number) {
    Outcome outcome = attempt();
    if (moved && moved()) number = 1;
    if (outcome.status || !outcome.may_pass || number >= limits.attempts) return std::move(outcome.status);
    const double random = g_random_double();
    const std::int64_t until = clock.monotonic_ms() + pause_before(number + 1, limits, outcome.retry_after, random);
    while (!stop.requested() && clock.monotonic_ms() < until) clock.sleep_ms(kSliceMs);
    if (stop.requested()) return Error(Code::cancelled, "stopped while waiting to ask again");
  }
}

}  // namespace hc
