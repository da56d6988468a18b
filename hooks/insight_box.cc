#include "hooks/insight_box.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "engine/base/text.h"
#include "hooks/insight/message.h"

namespace hc {
namespace {

Insight::Kind kind_of(std::string_view text) {
  if (text == "progress") return Insight::Kind::progress;
  if (text == "metric") return Insight::Kind::metric;
  return text == "state" ? Insight::Kind::state : Insight::Kind::log;
}

bool has_a_last_value(const Insight& insight) {
  return insight.kind == Insight::Kind::metric || insight.kind == Insight::Kind::state;
}

}  // namespace

Result<InsightSocket> InsightSocket::open(const fs::path& name) {
  InsightSocket made;
  made.path_ = name;
  const std::string path = name.string();
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) return Error(Code::invalid, path + " is too long for a socket's name");
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  made.fd_ = UniqueFd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made.fd_ || bind(made.fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Error::from_errno(errno, "opening the socket " + path);
  }
  return made;
}

InsightBox::InsightBox(const SecretMask& mask, InsightFn listener) : mask_(mask), listener_(std::move(listener)) {}

void InsightBox::receive(const InsightSocket& socket) {
  // Not until none is left: a hook that never stops talking must not keep its runner from looking at the clock.
  constexpr int kAtOnce = 256;
  std::array<char, kLongestMessage + 1> buffer{};
  for (int i = 0; i < kAtOnce && socket.fd() >= 0; ++i) {
    const ssize_t size = recv(socket.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0) return;
    accept({buffer.data(), static_cast<std::size_t>(size)});
  }
}

void InsightBox::accept(std::string_view bytes) {
  const auto message = decode(bytes);
  if (!message) {
    ++dropped_;
    return;
  }
  Insight insight;
  insight.kind = kind_of(message->kind);
  insight.name = mask_.masked(message->name);
  insight.text = printable(mask_.masked(message->text));
  insight.number = message->number;
  insight.at_ms = age_ms();
  const bool tell = may_tell();
  if (!tell && insight.kind == Insight::Kind::log) {
    ++dropped_;
    return;
  }
  if (tell && listener_) listener_(insight);
  keep(std::move(insight));
}

void InsightBox::note(std::string_view text) {
  Insight insight;
  insight.name = "warn";
  insight.text = mask_.masked(text);
  insight.at_ms = age_ms();
  if (listener_) listener_(insight);
  kept_.push_back(std::move(insight));
}

std::vector<Insight> InsightBox::take() {
  if (dropped_ > 0) note(std::to_string(dropped_) + " messages of the hook were dropped: too many, or not valid");
  dropped_ = 0;
  return std::move(kept_);
}

bool InsightBox::may_tell() {
  const std::int64_t now = age_ms() / 1000;
  if (now != second_) {
    second_ = now;
    told_ = 0;
  }
  return ++told_ <= kPerSecond;
}

void InsightBox::keep(Insight insight) {
  const bool named = has_a_last_value(insight);
  const auto same_sort = [named](const Insight& kept) { return has_a_last_value(kept) == named; };
  const auto replaced = std::find_if(kept_.begin(), kept_.end(), [&](const Insight& kept) {
    return named && kept.kind == insight.kind && kept.name == insight.name;
  });
  if (replaced != kept_.end()) {
    kept_.erase(replaced);
  } else if (std::count_if(kept_.begin(), kept_.end(), same_sort) >=
             static_cast<std::ptrdiff_t>(named ? kNames : kKept)) {
    ++dropped_;
    if (named) return;
    kept_.erase(std::find_if(kept_.begin(), kept_.end(), same_sort));
  }
  kept_.push_back(std::move(insight));
}

std::int64_t InsightBox::age_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun_).count();
}

}  // namespace hc
