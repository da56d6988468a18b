#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace hc {

// What the caller can do about a failure. The text says what happened.
enum class Code {
  invalid,      // reject the input; trying again cannot help
  untrusted,    // reject and raise an alarm: signature, key, downgrade, blocked commit
  unavailable,  // try again later: network, clock not set yet
  no_space,     // free bytes or inodes, then try again
  busy,         // another transaction or process holds what is needed
  io,           // the disk or the system refused
  hook_failed,  // a hook said no, could not run, was killed or took too long
  unhealthy,    // the new version does not work: roll back
  cancelled,    // the caller asked to stop
  internal,     // our bug
};

std::string_view name(Code code);

// The code that name() gives `text` for, or Code::internal for a text that a newer engine wrote.
Code code_from(std::string_view text);

// A failure. Each layer adds context once with in(), so that the text reads as a sentence from the outside in.
class [[nodiscard]] Error {
 public:
  Error(Code code, std::string text) : code_(code), text_(std::move(text)) {}

  // Fails with the text of `errno_value` after `what`; ENOSPC, EDQUOT become no_space, the rest io.
  static Error from_errno(int errno_value, std::string_view what);

  Code code() const { return code_; }
  const std::string& text() const { return text_; }
  // What the operator can do next; empty where the text already says all.
  const std::string& hint() const { return hint_; }

  Error in(std::string_view context) &&;
  Error with_hint(std::string hint) &&;

 private:
  Code code_;
  std::string text_;
  std::string hint_;
};

struct Ok {};
inline constexpr Ok ok{};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return state_.index() == 0; }
  const T& value() const& { return std::get<0>(state_); }
  T& value() & { return std::get<0>(state_); }
  T value() && { return std::get<0>(std::move(state_)); }
  const T& operator*() const { return value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }
  const Error& error() const& { return std::get<1>(state_); }
  Error error() && { return std::get<1>(std::move(state_)); }

  // The same result, with `context` before the text of its error.
  Result in(std::string_view context) && {
    if (*this) return std::move(*this);
    return std::move(*this).error().in(context);
  }

 private:
  std::variant<T, Error> state_;
};

class [[nodiscard]] Status {
 public:
  Status(Ok) {}                                      // NOLINT(google-explicit-constructor)
  Status(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return !error_; }
  void value() const {}
  const Error& error() const& { return *error_; }
  Error error() && { return std::move(*error_); }
  Status in(std::string_view context) && {
    if (!error_) return ok;
    return std::move(*error_).in(context);
  }

 private:
  std::optional<Error> error_;
};

}  // namespace hc

// The value of a Result or Status, or a return of its error from the enclosing function. Never nested.
#define HC_TRY(expression)                               \
  (__extension__({                                       \
    auto hc_result = (expression);                       \
    if (!hc_result) return std::move(hc_result).error(); \
    std::move(hc_result).value();                        \
  }))
