// LIBS hc_delta
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "engine/delta/apply.h"
#include "engine/delta/wire.h"

namespace {

// An old file, and a limit for what may be written.
class Bounded final : public hc::ObjectStore {
 public:
  hc::Result<bool> has_file(const std::string&) override { return false; }
  hc::Result<std::unique_ptr<hc::BaseFile>> base(const std::string&) override {
    return std::unique_ptr<hc::BaseFile>(std::make_unique<Zeros>());
  }
  hc::Status put_metadata(hc::ObjectKind, const std::string&, std::string_view) override { return hc::ok; }
  hc::Status put_link(const std::string&, const hc::FileAttributes&, const std::string&) override { return hc::ok; }
  hc::Status begin_file(const std::string&, const hc::FileAttributes&, std::uint64_t size) override {
    left_ = size;
    return size > 1 << 20 ? hc::Status(hc::Error(hc::Code::invalid, "too large")) : hc::Status(hc::ok);
  }
  hc::Status write(std::string_view piece) override {
    if (piece.size() > left_) std::abort();
    left_ -= piece.size();
    return hc::ok;
  }
  hc::Status end_file() override {
    if (left_ != 0) std::abort();
    return hc::ok;
  }
  hc::Status keep() override { return hc::ok; }

 private:
  struct Zeros final : hc::BaseFile {
    std::uint64_t size() const override { return 1000; }
    hc::Status read(std::uint64_t offset, char* to, std::size_t size) override {
      if (offset > 1000 || size > 1000 - offset) std::abort();
      for (std::size_t i = 0; i < size; ++i) to[i] = 0;
      return hc::ok;
    }
  };
  std::uint64_t left_ = 0;
};

// The orders as they are: what packs them would hide them from the fuzzer.
void orders(std::string_view input) {
  const std::size_t half = input.size() / 2;
  hc::DeltaBlock block;
  const auto packed = hc::pack(hc::Codec::zstd, input.substr(0, half));
  if (!packed) return;
  const std::string data = *packed + std::string(input.substr(half));
  block.orders_packed = static_cast<std::uint32_t>(packed->size());
  block.orders_size = static_cast<std::uint32_t>(half);
  block.content_packed = block.content_size = static_cast<std::uint32_t>(input.size() - half);
  block.check = hc::crc64(data);
  hc::DeltaHead head;
  head.blocks = {block};
  Bounded store;
  hc::DeltaApply apply(head, "", store);
  if (!apply.begin() || !apply.feed(data)) return;
  static_cast<void>(apply.finish());
}

}  // namespace

// Whatever a delta says, nothing is read or written beyond what was announced.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    orders(input);
    return 0;
  }
  const auto head =
      hc::read_head(input, [](const hc::Commit&) { return hc::Result<std::string>(std::string("base")); });
  if (head && head->data_size() == 0 && !head->blocks.empty()) std::abort();
  return 0;
}
