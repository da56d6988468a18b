#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hc {

// Replaces secrets by *** in a stream of bytes, also where a secret comes in pieces. Of a secret of several lines (a
// key file) each line of four bytes or more counts.
class SecretMask {
 public:
  using Sink = std::function<void(std::string_view)>;

  explicit SecretMask(const std::vector<std::string>& secrets);

  // Passes on what is certain; the beginning of a possible secret is held back until more is known.
  void feed(std::string_view bytes, const Sink& sink);
  // No more will come: passes on what was held back.
  void flush(const Sink& sink);
  // A whole text at once.
  std::string masked(std::string_view text) const;

 private:
  struct Match {
    std::size_t at = std::string::npos;
    std::size_t size = 0;
  };
  Match next(std::string_view text) const;
  std::size_t open_end(std::string_view text) const;
  std::string_view consume(std::string_view text, bool final, const Sink& sink) const;

  std::vector<std::string> secrets_;  // longest first
  std::string held_;
};

}  // namespace hc
