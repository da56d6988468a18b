#include "hooks/capture.h"

#include <algorithm>
#include <chrono>

#include "engine/base/text.h"

namespace hc {
namespace {

constexpr std::size_t kLongestLine = 4096;
constexpr std::uint64_t kBytesPerSecond = 64 << 10;

bool continues_a_character(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) == 0x80; }

// `head` without a cut last line or, where that is very long, without a cut last character.
std::string_view whole_end(std::string_view head) {
  const std::size_t line = head.rfind('\n');
  if (line != std::string_view::npos && head.size() - line <= kLongestLine) return head.substr(0, line);
  std::size_t size = head.size();
  for (int i = 0; i < 3 && size > 0 && continues_a_character(head[size - 1]); ++i) --size;
  const bool begins_one = size > 0 && (static_cast<unsigned char>(head[size - 1]) & 0xc0) == 0xc0;
  return head.substr(0, begins_one ? size - 1 : head.size());
}

// The same for the beginning of `tail`.
std::string_view whole_begin(std::string_view tail) {
  const std::size_t line = tail.find('\n');
  if (line < kLongestLine && line + 1 < tail.size()) return tail.substr(line + 1);
  for (int i = 0; i < 3 && !tail.empty() && continues_a_character(tail.front()); ++i) tail.remove_prefix(1);
  return tail;
}

}  // namespace

void LiveLines::feed(std::string_view bytes) {
  if (!line_ || bytes.empty()) return;
  if (!may_show(bytes.size())) {
    hidden_ += partial_.size() + bytes.size();
    partial_.clear();
    skipping_ = true;
    return;
  }
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    take(bytes.substr(0, end), end != std::string_view::npos);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
  }
}

void LiveLines::end() {
  if (hidden_ > 0) line_("[... " + human_bytes(hidden_) + " not shown here ...]");
  if (!partial_.empty()) show(partial_);
  partial_.clear();
  hidden_ = 0;
  skipping_ = false;
}

bool LiveLines::may_show(std::size_t size) {
  using std::chrono::steady_clock;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now().time_since_epoch()).count();
  if (now != second_) {
    second_ = now;
    shown_ = 0;
    if (hidden_ > 0) line_("[... " + human_bytes(hidden_) + " not shown here ...]");
    hidden_ = 0;
  }
  if (shown_ >= kBytesPerSecond) return false;
  shown_ += size;
  return true;
}

void LiveLines::take(std::string_view part, bool ends) {
  if (!skipping_) {
    partial_ += part.substr(0, kLongestLine + 1 - std::min(kLongestLine + 1, partial_.size()));
    if (partial_.size() > kLongestLine) {
      show(std::string(whole_end(std::string_view{partial_}.substr(0, kLongestLine))) + " [...]");
      partial_.clear();
      skipping_ = true;
    } else if (ends) {
      show(partial_);
      partial_.clear();
    }
  }
  if (ends) skipping_ = false;
}

void LiveLines::show(std::string_view line) const { line_(printable(line)); }

OutputCapture::OutputCapture(const SecretMask& mask, OutputFn line) : mask_(mask), live_(std::move(line)) {}

void OutputCapture::feed(std::string_view bytes) {
  mask_.feed(bytes, [this](std::string_view part) { unmasked(part); });
}

void OutputCapture::end() {
  mask_.flush([this](std::string_view part) { unmasked(part); });
  live_.end();
}

// Ends of lines as \n, whichever way the hook writes them: a progress bar's lone \r must not hide what stood before it.
void OutputCapture::unmasked(std::string_view bytes) {
  if (!after_return_ && bytes.find('\r') == std::string_view::npos) return store(bytes);
  std::string lines;
  lines.reserve(bytes.size());
  for (const char byte : bytes) {
    if (!(after_return_ && byte == '\n')) lines += byte == '\r' ? '\n' : byte;
    after_return_ = byte == '\r';
  }
  store(lines);
}

void OutputCapture::store(std::string_view bytes) {
  total_ += bytes.size();
  live_.feed(bytes);
  const std::size_t to_head = std::min(bytes.size(), kHead - head_.size());
  head_ += bytes.substr(0, to_head);
  bytes.remove_prefix(to_head);
  if (bytes.size() >= kTail) {
    tail_ = bytes.substr(bytes.size() - kTail);
    return;
  }
  tail_ += bytes;
  if (tail_.size() > 2 * kTail) tail_.erase(0, tail_.size() - kTail);
}

OutputCapture::Kept OutputCapture::kept() const {
  if (total_ <= kHead + kTail) return {printable(head_ + tail_), 0};
  const std::string_view head = whole_end(head_);
  const std::string_view tail =
      whole_begin(std::string_view{tail_}.substr(tail_.size() - std::min(tail_.size(), kTail)));
  const std::uint64_t dropped = total_ - head.size() - tail.size();
  return {printable(head) + "\n[... " + human_bytes(dropped) + " not kept ...]\n" + printable(tail), dropped};
}

}  // namespace hc
