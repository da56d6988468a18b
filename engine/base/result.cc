#include "engine/base/result.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace hc {
namespace {

struct Named {
  Code code;
  std::string_view name;
};

constexpr std::array kCodes = {
    Named{Code::invalid, "invalid"},
    Named{Code::untrusted, "untrusted"},
    Named{Code::unavailable, "unavailable"},
    Named{Code::no_space, "no-space"},
    Named{Code::busy, "busy"},
    Named{Code::io, "io"},
    Named{Code::hook_failed, "hook-failed"},
    Named{Code::unhealthy, "unhealthy"},
    Named{Code::cancelled, "cancelled"},
    Named{Code::internal, "internal"},
};

}  // namespace

std::string_view name(Code code) {
  for (const Named& entry : kCodes)
    if (entry.code == code) return entry.name;
  return "internal";
}

Code code_from(std::string_view text) {
  for (const Named& entry : kCodes)
    if (entry.name == text) return entry.code;
  return Code::internal;
}

Error Error::from_errno(int errno_value, std::string_view what) {
  const bool full = errno_value == ENOSPC || errno_value == EDQUOT;
  std::array<char, 256> buffer{};
  const char* reason = strerror_r(errno_value, buffer.data(), buffer.size());
  return {full ? Code::no_space : Code::io, std::string(what) + ": " + reason};
}

Error Error::in(std::string_view context) && {
  text_ = std::string(context) + ": " + text_;
  return std::move(*this);
}

Error Error::with_hint(std::string hint) && {
  hint_ = std::move(hint);
  return std::move(*this);
}

}  // namespace hc
