#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"

// Numbers and strings as they stand in a delta. See docs/deltas.md.
namespace hc {

// Appends to a string.
class WireWriter {
 public:
  void byte(std::uint8_t value) { bytes_ += static_cast<char>(value); }
  void fixed32(std::uint32_t value);
  void fixed64(std::uint64_t value);
  void number(std::uint64_t value);        // seven bits a byte, the least first
  void signed_number(std::int64_t value);  // zigzag
  void raw(std::string_view bytes) { bytes_.append(bytes); }
  void text(std::string_view bytes);      // its length, then the bytes
  void checksum(const std::string& hex);  // 32 bytes

  const std::string& bytes() const { return bytes_; }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads foreign bytes; never beyond their end. Each call fails with Code::invalid where they end too early.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  Result<std::uint8_t> byte();
  Result<std::uint32_t> fixed32();
  Result<std::uint64_t> fixed64();
  Result<std::uint64_t> number();
  Result<std::uint32_t> number32();  // one that fits
  Result<std::int64_t> signed_number();
  Result<std::string_view> raw(std::uint64_t size);
  Result<std::string_view> text();
  Result<std::string> checksum();

  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// CRC-64 as in the xz format: against damage, not against forgers.
std::uint64_t crc64(std::string_view bytes);

}  // namespace hc
