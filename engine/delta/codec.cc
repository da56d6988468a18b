#include "engine/delta/codec.h"

#include <lzma.h>
#include <zstd.h>

#include <algorithm>

#include "engine/base/handle.h"

namespace hc {
namespace {

using ZstdPacker = Handle<ZSTD_CCtx, ZSTD_freeCCtx>;
using ZstdUnpacker = Handle<ZSTD_DCtx, ZSTD_freeDCtx>;

constexpr int kLevel = 19;
constexpr std::size_t kLargeDictionary = 4 << 20;
constexpr std::uint64_t kXzMemory = 16 << 20;

Error damaged(std::string_view what) {
  return {Code::invalid, "its compressed data are damaged (" + std::string(what) + ")"};
}
Error failed_to_pack(std::string_view what) { return {Code::internal, "compressing failed: " + std::string(what)}; }

Result<std::string> pack_zstd(std::string_view raw, std::string_view dictionary, int level) {
  const ZstdPacker packer(ZSTD_createCCtx());
  ZSTD_CCtx_setParameter(packer.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(packer.get(), ZSTD_c_contentSizeFlag, 0);
  if (!dictionary.empty()) {
    int log = 20;
    while (log < 27 && (std::size_t{1} << log) < dictionary.size() + raw.size()) ++log;
    ZSTD_CCtx_setParameter(packer.get(), ZSTD_c_windowLog, log);
    ZSTD_CCtx_refPrefix(packer.get(), dictionary.data(), dictionary.size());
  }
  std::string packed(ZSTD_compressBound(raw.size()), '\0');
  const std::size_t size = ZSTD_compress2(packer.get(), packed.data(), packed.size(), raw.data(), raw.size());
  if (ZSTD_isError(size)) return failed_to_pack(ZSTD_getErrorName(size));
  packed.resize(size);
  return packed;
}

Result<std::string> unpack_zstd(std::string_view packed, std::size_t raw_size, std::string_view dictionary) {
  const ZstdUnpacker unpacker(ZSTD_createDCtx());
  if (!dictionary.empty()) ZSTD_DCtx_refPrefix(unpacker.get(), dictionary.data(), dictionary.size());
  std::string raw(raw_size, '\0');
  const std::size_t size = ZSTD_decompressDCtx(unpacker.get(), raw.data(), raw.size(), packed.data(), packed.size());
  if (ZSTD_isError(size)) return damaged(ZSTD_getErrorName(size));
  if (size != raw_size) return damaged("another size");
  return raw;
}

Result<std::string> pack_xz(std::string_view raw) {
  lzma_options_lzma options{};
  lzma_lzma_preset(&options, LZMA_PRESET_DEFAULT | LZMA_PRESET_EXTREME);
  options.dict_size = kXzWindow;
  lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  std::string packed(lzma_stream_buffer_bound(raw.size()), '\0');
  std::size_t size = 0;
  // The block has a checksum of its own.
  const lzma_ret done =
      lzma_stream_buffer_encode(filters, LZMA_CHECK_NONE, nullptr, reinterpret_cast<const std::uint8_t*>(raw.data()),
                                raw.size(), reinterpret_cast<std::uint8_t*>(packed.data()), &size, packed.size());
  if (done != LZMA_OK) return failed_to_pack("xz");
  packed.resize(size);
  return packed;
}

Result<std::string> unpack_xz(std::string_view packed, std::size_t raw_size) {
  std::uint64_t memory = kXzMemory;
  std::string raw(raw_size, '\0');
  std::size_t in = 0;
  std::size_t out = 0;
  const lzma_ret done =
      lzma_stream_buffer_decode(&memory, 0, nullptr, reinterpret_cast<const std::uint8_t*>(packed.data()), &in,
                                packed.size(), reinterpret_cast<std::uint8_t*>(raw.data()), &out, raw.size());
  if (done != LZMA_OK) return damaged("xz " + std::to_string(static_cast<int>(done)));
  if (out != raw_size || in != packed.size()) return damaged("another size");
  return raw;
}

}  // namespace

Result<std::string> pack(Codec codec, std::string_view raw, std::string_view dictionary) {
  switch (codec) {
    case Codec::plain:
      return std::string(raw);
    case Codec::zstd:
      // A large dictionary is searched again for every block: less eagerly then.
      return pack_zstd(raw, dictionary, dictionary.size() > kLargeDictionary ? 6 : kLevel);
    case Codec::xz:
      return pack_xz(raw);
  }
  return Error(Code::internal, "no such compressor");
}

Result<std::string> unpack(Codec codec, std::string_view packed, std::size_t raw_size, std::string_view dictionary) {
  switch (codec) {
    case Codec::plain:
      if (packed.size() != raw_size) return damaged("another size");
      return std::string(packed);
    case Codec::zstd:
      return unpack_zstd(packed, raw_size, dictionary);
    case Codec::xz:
      return unpack_xz(packed, raw_size);
  }
  return Error(Code::invalid, "its data are compressed in a way that this engine does not know");
}

Result<std::string> pack_fast(std::string_view raw) { return pack_zstd(raw, {}, 3); }

Result<Packed> pack_best(std::string_view raw) {
  Packed best{Codec::plain, std::string(raw)};
  // What is compressed already does not become smaller by trying hard.
  const std::string quick = HC_TRY(pack_fast(raw));
  if (quick.size() > raw.size() / 100 * 98) return best;
  for (const Codec codec : {Codec::zstd, Codec::xz}) {
    std::string packed = HC_TRY(pack(codec, raw));
    if (packed.size() < best.bytes.size()) best = {codec, std::move(packed)};
  }
  return best;
}

}  // namespace hc
