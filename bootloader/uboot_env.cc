#include "bootloader/uboot_env.h"

#include <array>

namespace hc {
namespace {

std::uint32_t crc32(std::string_view bytes) {
  constexpr std::uint32_t kPolynomial = 0xEDB88320;
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
  }
  return ~crc;
}

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return value;
}

}  // namespace

Result<UbootEnv> UbootEnv::parse(std::string_view bytes) {
  if (bytes.size() < kHead + 2) return Error(Code::invalid, "it is too small for an environment");
  std::string_view data = bytes.substr(kHead);
  if (crc32(data) != little_endian(bytes)) return Error(Code::invalid, "its checksum does not fit");
  UbootEnv env;
  env.serial_ = static_cast<std::uint8_t>(bytes[4]);
  while (!data.empty() && data.front() != '\0') {
    const std::string_view line = data.substr(0, data.find('\0'));
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos && equals > 0)
      env.variables_.insert_or_assign(std::string(line.substr(0, equals)), std::string(line.substr(equals + 1)));
    data.remove_prefix(std::min(line.size() + 1, data.size()));
  }
  return env;
}

bool UbootEnv::newer_than(const UbootEnv& other) const {
  return static_cast<std::int8_t>(static_cast<std::uint8_t>(serial_ - other.serial_)) > 0;
}

std::optional<std::string> UbootEnv::get(const std::string& name) const {
  const auto found = variables_.find(name);
  return found == variables_.end() ? std::nullopt : std::optional(found->second);
}

UbootEnv UbootEnv::next() const {
  UbootEnv env = *this;
  ++env.serial_;
  return env;
}

Result<std::string> UbootEnv::serialise(std::size_t size) const {
  std::string data;
  for (const auto& [name, value] : variables_) data.append(name).append(1, '=').append(value).append(1, '\0');
  data += '\0';
  if (data.size() + kHead > size)
    return Error(Code::no_space, "U-Boot's environment is full: " + std::to_string(data.size() + kHead) + " of " +
                                     std::to_string(size) + " bytes");
  data.resize(size - kHead, '\0');
  const std::uint32_t crc = crc32(data);
  std::string block;
  for (unsigned i = 0; i < 4; ++i) block += static_cast<char>(crc >> (8 * i) & 0xFF);
  block += static_cast<char>(serial_);
  return block + data;
}

}  // namespace hc
