#include "engine/delta/difference.h"

#include <divsufsort.h>

#include <algorithm>

namespace hc {
namespace {

// Where a stretch found at this place must be better than going on with the last one by so many bytes.
constexpr std::int64_t kClearlyBetter = 8;

class Search {
 public:
  Search(std::string_view old, std::vector<saidx_t> order) : old_(old), order_(std::move(order)) {}

  struct Match {
    std::size_t at = 0;
    std::size_t length = 0;
  };

  // The place in the old bytes that has the longest common start with `wanted`.
  Match longest(std::string_view wanted) const {
    if (order_.empty()) return {};
    std::size_t low = 0;
    std::size_t high = order_.size();
    while (high - low > 1) {
      const std::size_t middle = low + (high - low) / 2;
      const std::string_view there = old_.substr(static_cast<std::size_t>(order_[middle]));
      if (there.substr(0, wanted.size()).compare(wanted.substr(0, there.size())) <= 0)
        low = middle;
      else
        high = middle;
    }
    Match best = at(low, wanted);
    if (high < order_.size()) {
      const Match next = at(high, wanted);
      if (next.length > best.length) best = next;
    }
    return best;
  }

 private:
  Match at(std::size_t index, std::string_view wanted) const {
    const auto start = static_cast<std::size_t>(order_[index]);
    const std::string_view there = old_.substr(start);
    const auto end =
        std::mismatch(there.begin(), there.begin() + static_cast<std::ptrdiff_t>(std::min(there.size(), wanted.size())),
                      wanted.begin());
    return {start, static_cast<std::size_t>(end.first - there.begin())};
  }

  std::string_view old_;
  std::vector<saidx_t> order_;
};

// Walks through the new bytes: each exact match that is clearly better than the last alignment begins a new stretch,
// and both of its ends grow as long as more than half of the bytes agree.
class Walk {
 public:
  Walk(std::string_view old, std::string_view fresh, const Search& search)
      : old_(old), fresh_(fresh), search_(search) {}

  std::vector<Stretch> run() {
    while (scan_ < size(fresh_)) {
      find_next();
      if (length_ != agree_ || scan_ == size(fresh_)) close_stretch();
    }
    return std::move(stretches_);
  }

 private:
  static std::int64_t size(std::string_view bytes) { return static_cast<std::int64_t>(bytes.size()); }
  char old_at(std::int64_t i) const { return old_[static_cast<std::size_t>(i)]; }
  char fresh_at(std::int64_t i) const { return fresh_[static_cast<std::size_t>(i)]; }
  bool agrees(std::int64_t i) const {
    return i + offset_ >= 0 && i + offset_ < size(old_) && old_at(i + offset_) == fresh_at(i);
  }

  void find_next() {
    agree_ = 0;
    scan_ += length_;
    for (std::int64_t counted = scan_; scan_ < size(fresh_); ++scan_) {
      // Beyond this a longer match makes no difference, and a long run of one byte would be compared again and again.
      constexpr std::size_t kEnough = 1 << 15;
      const auto match = search_.longest(fresh_.substr(static_cast<std::size_t>(scan_), kEnough));
      length_ = static_cast<std::int64_t>(match.length);
      position_ = static_cast<std::int64_t>(match.at);
      for (; counted < scan_ + length_; ++counted) agree_ += agrees(counted) ? 1 : 0;
      if ((length_ == agree_ && length_ != 0) || length_ > agree_ + kClearlyBetter) return;
      agree_ -= agrees(scan_) ? 1 : 0;
    }
    length_ = 0;
  }

  std::int64_t grow_forward() const {
    std::int64_t best = 0;
    std::int64_t balance = 0;
    std::int64_t best_balance = 0;
    for (std::int64_t i = 0; last_scan_ + i < scan_ && last_position_ + i < size(old_);) {
      balance += old_at(last_position_ + i) == fresh_at(last_scan_ + i) ? 1 : -1;
      ++i;
      if (balance > best_balance) {
        best_balance = balance;
        best = i;
      }
    }
    return best;
  }

  std::int64_t grow_backward() const {
    if (scan_ >= size(fresh_)) return 0;
    std::int64_t best = 0;
    std::int64_t balance = 0;
    std::int64_t best_balance = 0;
    for (std::int64_t i = 1; scan_ >= last_scan_ + i && position_ >= i; ++i) {
      balance += old_at(position_ - i) == fresh_at(scan_ - i) ? 1 : -1;
      if (balance > best_balance) {
        best_balance = balance;
        best = i;
      }
    }
    return best;
  }

  // Where both want the same bytes, each keeps what it matches better.
  void settle_overlap(std::int64_t& forward, std::int64_t& backward) const {
    const std::int64_t overlap = last_scan_ + forward - (scan_ - backward);
    if (overlap <= 0) return;
    std::int64_t score = 0;
    std::int64_t best_score = 0;
    std::int64_t kept = 0;
    for (std::int64_t i = 0; i < overlap; ++i) {
      const std::int64_t by_last = last_scan_ + forward - overlap + i;
      if (fresh_at(by_last) == old_at(last_position_ + forward - overlap + i)) ++score;
      if (fresh_at(scan_ - backward + i) == old_at(position_ - backward + i)) --score;
      if (score > best_score) {
        best_score = score;
        kept = i + 1;
      }
    }
    forward += kept - overlap;
    backward -= kept;
  }

  void close_stretch() {
    std::int64_t forward = grow_forward();
    std::int64_t backward = grow_backward();
    settle_overlap(forward, backward);
    const std::int64_t extra = scan_ - backward - (last_scan_ + forward);
    if (forward > 0 || extra > 0)
      stretches_.push_back({static_cast<std::uint64_t>(last_position_), static_cast<std::uint64_t>(forward),
                            static_cast<std::uint64_t>(extra)});
    last_scan_ = scan_ - backward;
    last_position_ = position_ - backward;
    offset_ = position_ - scan_;
  }

  std::string_view old_;
  std::string_view fresh_;
  const Search& search_;
  std::vector<Stretch> stretches_;
  std::int64_t scan_ = 0;
  std::int64_t length_ = 0;
  std::int64_t position_ = 0;
  std::int64_t agree_ = 0;  // bytes of the match that the last alignment gives too
  std::int64_t last_scan_ = 0;
  std::int64_t last_position_ = 0;
  std::int64_t offset_ = 0;
};

}  // namespace

Result<std::vector<Stretch>> difference(std::string_view old, std::string_view fresh) {
  std::vector<saidx_t> order(old.size());
  if (!old.empty() &&
      divsufsort(reinterpret_cast<const sauchar_t*>(old.data()), order.data(), static_cast<saidx_t>(old.size())) != 0)
    return Error(Code::internal, "sorting the old file failed");
  const Search search(old, std::move(order));
  return Walk(old, fresh, search).run();
}

}  // namespace hc
