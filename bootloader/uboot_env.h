#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace hc {

// One copy of U-Boot's redundant environment: CRC-32 (little endian) of the data, one byte that grows with each save,
// then the data: `name=value` with a zero byte behind each, one more zero byte, filled up to the size of the area.
// (include/env_internal.h of U-Boot; the layout that CONFIG_SYS_REDUNDAND_ENVIRONMENT gives.)
class UbootEnv {
 public:
  static constexpr std::size_t kHead = 5;

  // Fails with Code::invalid where the checksum does not fit: a copy that was never written, or not to its end.
  static Result<UbootEnv> parse(std::string_view bytes);

  std::uint8_t serial() const { return serial_; }
  // Which of two valid copies was saved later; the serial starts again at 0 after 255.
  bool newer_than(const UbootEnv& other) const;

  std::optional<std::string> get(const std::string& name) const;
  void set(const std::string& name, const std::string& value) { variables_[name] = value; }
  // What follows this copy.
  UbootEnv next() const;

  // Exactly `size` bytes. Fails with Code::no_space where the variables do not fit.
  Result<std::string> serialise(std::size_t size) const;

 private:
  std::uint8_t serial_ = 0;
  std::map<std::string, std::string> variables_;
};

}  // namespace hc
