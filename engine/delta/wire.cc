#include "engine/delta/wire.h"

#include <lzma.h>

#include <limits>

namespace hc {
namespace {

constexpr std::size_t kChecksumBytes = 32;
constexpr std::string_view kDigits = "0123456789abcdef";

Error short_of() { return {Code::invalid, "it ends too early"}; }

int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

}  // namespace

void WireWriter::fixed32(std::uint32_t value) {
  for (int i = 0; i < 4; ++i) byte(static_cast<std::uint8_t>(value >> (8 * i)));
}

void WireWriter::fixed64(std::uint64_t value) {
  for (int i = 0; i < 8; ++i) byte(static_cast<std::uint8_t>(value >> (8 * i)));
}

void WireWriter::number(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) byte(static_cast<std::uint8_t>(value | 0x80));
  byte(static_cast<std::uint8_t>(value));
}

void WireWriter::signed_number(std::int64_t value) {
  number((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}

void WireWriter::text(std::string_view bytes) {
  number(bytes.size());
  raw(bytes);
}

void WireWriter::checksum(const std::string& hex) {
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    byte(static_cast<std::uint8_t>(digit(hex[i]) * 16 + digit(hex[i + 1])));
}

Result<std::uint8_t> WireReader::byte() {
  const std::string_view one = HC_TRY(raw(1));
  return static_cast<std::uint8_t>(one[0]);
}

Result<std::uint32_t> WireReader::fixed32() {
  const std::string_view bytes = HC_TRY(raw(4));
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[i])) << (8 * i);
  return value;
}

Result<std::uint64_t> WireReader::fixed64() {
  const std::uint64_t low = HC_TRY(fixed32());
  const std::uint64_t high = HC_TRY(fixed32());
  return low | high << 32;
}

Result<std::uint64_t> WireReader::number() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint64_t next = HC_TRY(byte());
    if (shift == 63 && next > 1) break;
    value |= (next & 0x7f) << shift;
    if (next < 0x80) return value;
  }
  return Error(Code::invalid, "a number in it is too large");
}

Result<std::uint32_t> WireReader::number32() {
  const std::uint64_t value = HC_TRY(number());
  if (value > std::numeric_limits<std::uint32_t>::max()) return Error(Code::invalid, "a number in it is too large");
  return static_cast<std::uint32_t>(value);
}

Result<std::int64_t> WireReader::signed_number() {
  const std::uint64_t value = HC_TRY(number());
  return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

Result<std::string_view> WireReader::raw(std::uint64_t size) {
  if (size > rest_.size()) return short_of();
  const std::string_view bytes = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return bytes;
}

Result<std::string_view> WireReader::text() {
  const std::uint64_t size = HC_TRY(number());
  return raw(size);
}

Result<std::string> WireReader::checksum() {
  const std::string_view bytes = HC_TRY(raw(kChecksumBytes));
  std::string hex;
  hex.reserve(2 * kChecksumBytes);
  for (const char c : bytes) {
    const auto value = static_cast<std::uint8_t>(c);
    hex += kDigits[value >> 4];
    hex += kDigits[value & 15];
  }
  return hex;
}

std::uint64_t crc64(std::string_view bytes) {
  return lzma_crc64(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(), 0);
}

}  // namespace hc
