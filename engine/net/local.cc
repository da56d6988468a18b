#include "engine/net/local.h"

#include <curl/curl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>

#include "engine/base/handle.h"
#include "engine/base/text.h"

namespace hc {
namespace {

using Easy = Handle<CURL, curl_easy_cleanup>;
using Multi = Handle<CURLM, curl_multi_cleanup>;
using HeaderList = Handle<curl_slist, curl_slist_free_all>;
using Take = std::function<bool(std::string_view)>;

constexpr long kConnectMs = 5'000;
constexpr long kAnswerMs = 30'000;

std::size_t on_body(char* data, std::size_t, std::size_t size, void* take) {
  return (*static_cast<const Take*>(take))({data, size}) ? size : 0;
}

struct Wire {
  CURLcode code = CURLE_OK;
  long status = 0;
  bool stopped = false;
};

Wire drive(CURL* easy, const StopToken& stop) {
  constexpr int kPollMs = 100;
  Wire wire;
  const Multi multi(curl_multi_init());
  curl_multi_add_handle(multi.get(), easy);
  int running = 1;
  while (true) {
    curl_multi_perform(multi.get(), &running);
    wire.stopped = stop.requested();
    if (running == 0 || wire.stopped) break;
    curl_multi_poll(multi.get(), nullptr, 0, kPollMs, nullptr);
  }
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left))
    if (message->msg == CURLMSG_DONE) wire.code = message->data.result;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &wire.status);
  curl_multi_remove_handle(multi.get(), easy);
  return wire;
}

Easy set_up(const fs::path& socket, const std::string& path, const Take& take) {
  Easy easy(curl_easy_init());
  curl_easy_setopt(easy.get(), CURLOPT_URL, ("http://localhost" + path).c_str());
  curl_easy_setopt(easy.get(), CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_USERAGENT, "honeycomb/" HC_VERSION);
  curl_easy_setopt(easy.get(), CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, &on_body);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &take);
  return easy;
}

Error no_answer(const fs::path& socket, const Wire& wire) {
  if (wire.stopped) return {Code::cancelled, "stopped while waiting for " + socket.string()};
  return Error(Code::unavailable, "no answer at " + socket.string() + ": " + curl_easy_strerror(wire.code))
      .with_hint("`systemctl status honeycombd` says how the service is");
}

// Puts the pieces of a stream together to events.
class EventParser {
 public:
  EventParser(std::uint64_t after, const std::function<bool(const ServerEvent&)>& take) : take_(take) {
    event_.id = after;
  }

  bool feed(std::string_view piece) {
    constexpr std::size_t kLongest = 4 << 20;
    buffer_ += piece;
    std::size_t from = 0;
    for (std::size_t end = buffer_.find('\n'); end != std::string::npos; end = buffer_.find('\n', from)) {
      if (!line(std::string_view(buffer_).substr(from, end - from))) return false;
      from = end + 1;
    }
    buffer_.erase(0, from);
    return buffer_.size() < kLongest;
  }
  bool satisfied() const { return satisfied_; }

 private:
  bool line(std::string_view text) {
    if (text.empty()) return end_of_event();
    const std::size_t colon = text.find(':');
    const std::string_view key = text.substr(0, colon);
    std::string_view value = colon == std::string_view::npos ? "" : text.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (key == "id") std::from_chars(value.data(), value.data() + value.size(), event_.id);
    if (key == "event") event_.event = value;
    if (key == "data") event_.data += value;
    return true;
  }
  bool end_of_event() {
    const bool comment = event_.event.empty() && event_.data.empty();
    satisfied_ = !comment && !take_(event_);
    event_.event.clear();
    event_.data.clear();
    return !satisfied_;
  }

  const std::function<bool(const ServerEvent&)>& take_;
  std::string buffer_;
  ServerEvent event_;
  bool satisfied_ = false;
};

}  // namespace

bool listens(const fs::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket.string();
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Result<LocalAnswer> local_request(const fs::path& socket, const std::string& method, const std::string& path,
                                  const std::string& body, const StopToken& stop) {
  constexpr std::size_t kMostBytes = 64 << 20;
  LocalAnswer answer;
  const Take take = [&](std::string_view piece) {
    answer.body += piece;
    return answer.body.size() < kMostBytes;
  };
  const Easy easy = set_up(socket, path, take);
  const HeaderList headers(curl_slist_append(nullptr, "Content-Type: application/json"));
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, kAnswerMs);
  if (method == "POST") {
    curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
    curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    curl_easy_setopt(easy.get(), CURLOPT_COPYPOSTFIELDS, body.c_str());
  }
  const Wire wire = drive(easy.get(), stop);
  if (wire.stopped || wire.code != CURLE_OK) return no_answer(socket, wire);
  answer.status = wire.status;
  return answer;
}

Status local_events(const fs::path& socket, const std::string& path, std::uint64_t after,
                    const std::function<bool(const ServerEvent&)>& take, const StopToken& stop) {
  EventParser parser(after, take);
  const Take feed = [&](std::string_view piece) { return parser.feed(piece); };
  const Easy easy = set_up(socket, path, feed);
  const std::string last = "Last-Event-ID: " + std::to_string(after);
  const HeaderList headers(curl_slist_append(nullptr, last.c_str()));
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  const Wire wire = drive(easy.get(), stop);
  if (parser.satisfied()) return ok;
  if (wire.stopped || wire.code != CURLE_OK) return no_answer(socket, wire);
  if (wire.status != 200)
    return Error(Code::unavailable, "the service answered with status " + std::to_string(wire.status));
  return ok;
}

}  // namespace hc
