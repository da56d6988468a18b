#include "engine/delta/head.h"

#include <glib.h>

#include <numeric>

#include "engine/base/handle.h"
#include "engine/delta/wire.h"

namespace hc {
namespace {

constexpr std::string_view kMagic = "HCDELTA\n";
const std::string kNoCommit(64, '0');

std::string sha256(std::string_view bytes) {
  const GText hex(
      g_compute_checksum_for_data(G_CHECKSUM_SHA256, reinterpret_cast<const guchar*>(bytes.data()), bytes.size()));
  return hex.get();
}

Result<std::string> bytes_of(const std::optional<Commit>& from, const CommitBytes& base) {
  if (!from) return std::string();
  return base(*from);
}

void put_block(WireWriter& out, const DeltaBlock& block) {
  out.fixed32(block.orders_packed);
  out.fixed32(block.orders_size);
  out.byte(static_cast<std::uint8_t>(block.content_codec));
  out.fixed32(block.content_packed);
  out.fixed32(block.content_size);
  out.fixed64(block.check);
  out.fixed32(block.resume);
  out.checksum(block.last_file.empty() ? kNoCommit : block.last_file);
}

Status check_block(const DeltaBlock& block, std::size_t number) {
  const std::uint64_t memory = block.size() + block.orders_size + block.content_size;
  if (block.orders_size > kMostOrders || block.content_size > kMostContent || memory > kMostBlockMemory)
    return Error(Code::invalid, "it asks for more memory than a node gives");
  if (block.resume > number || block.size() == 0) return Error(Code::invalid, "its list of blocks contradicts itself");
  return ok;
}

Result<DeltaBlock> get_block(WireReader& in) {
  DeltaBlock block;
  block.orders_packed = HC_TRY(in.fixed32());
  block.orders_size = HC_TRY(in.fixed32());
  block.content_codec = static_cast<Codec>(HC_TRY(in.byte()));
  block.content_packed = HC_TRY(in.fixed32());
  block.content_size = HC_TRY(in.fixed32());
  block.check = HC_TRY(in.fixed64());
  block.resume = HC_TRY(in.fixed32());
  block.last_file = HC_TRY(in.checksum());
  if (block.last_file == kNoCommit) block.last_file.clear();
  return block;
}

Result<DeltaHead> parse_head(std::string_view raw, const DeltaPreamble& preamble) {
  DeltaHead head;
  WireReader in(raw);
  head.from = preamble.from;
  head.commit = HC_TRY(in.text());
  head.detached = HC_TRY(in.text());
  const std::uint32_t blocks = HC_TRY(in.number32());
  if (blocks > kMostBlocks) return Error(Code::invalid, "it has too many blocks");
  for (std::uint32_t i = 0; i < blocks; ++i) {
    const DeltaBlock block = HC_TRY(get_block(in));
    HC_TRY(check_block(block, i));
    head.blocks.push_back(block);
  }
  if (!in.at_end()) return Error(Code::invalid, "there is more in it than it says");
  if (sha256(head.commit) != preamble.to.hex())
    return Error(Code::untrusted, "it brings another commit than " + preamble.to.brief() + ", which it names");
  return head;
}

}  // namespace

std::uint64_t DeltaHead::data_size() const {
  return std::accumulate(blocks.begin(), blocks.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const DeltaBlock& block) { return sum + block.size(); });
}

Result<DeltaPreamble> read_preamble(std::string_view bytes) {
  WireReader in(bytes);
  const auto magic = in.raw(kMagic.size());
  if (!magic || *magic != kMagic) return Error(Code::invalid, "it is no delta and no bundle");
  const std::uint32_t format = HC_TRY(in.fixed32());
  if (format != kDeltaFormat)
    return Error(Code::invalid, "it has the format " + std::to_string(format) + ", which this engine does not know")
        .with_hint("upgrade the node by another way first, or make the delta for an older engine");
  const std::uint32_t size = HC_TRY(in.fixed32());
  const std::uint32_t packed = HC_TRY(in.fixed32());
  const std::string to = HC_TRY(in.checksum());
  const std::string from = HC_TRY(in.checksum());
  const std::uint64_t check = HC_TRY(in.fixed64());
  HC_TRY(in.fixed32());  // not used yet
  if (size > kMostHeadBytes || packed > kMostHeadBytes)
    return Error(Code::invalid, "it asks for more memory than a node gives");
  Commit target = HC_TRY(Commit::parse(to));
  std::optional<Commit> source;
  if (from != kNoCommit) source = HC_TRY(Commit::parse(from));
  return DeltaPreamble{std::move(target), std::move(source), packed, size, check};
}

Result<DeltaHead> read_head(std::string_view bytes, const CommitBytes& base) {
  const DeltaPreamble preamble = HC_TRY(read_preamble(bytes.substr(0, kDeltaPreamble)));
  const std::string_view packed = bytes.substr(std::min(kDeltaPreamble, bytes.size()));
  if (packed.size() != preamble.packed || crc64(packed) != preamble.check)
    return Error(Code::invalid, "its head is damaged");
  const std::string dictionary = HC_TRY(bytes_of(preamble.from, base));
  const std::string raw = HC_TRY(unpack(Codec::zstd, packed, preamble.size, dictionary));
  return parse_head(raw, preamble);
}

Result<std::string> write_head(const DeltaHead& head, const Commit& to, const CommitBytes& base) {
  WireWriter body;
  body.text(head.commit);
  body.text(head.detached);
  body.number(head.blocks.size());
  for (const DeltaBlock& block : head.blocks) put_block(body, block);
  if (body.bytes().size() > kMostHeadBytes) return Error(Code::invalid, "the payload is too large for a delta");
  const std::string dictionary = HC_TRY(bytes_of(head.from, base));
  const std::string packed = HC_TRY(pack(Codec::zstd, body.bytes(), dictionary));
  WireWriter out;
  out.raw(kMagic);
  out.fixed32(kDeltaFormat);
  out.fixed32(static_cast<std::uint32_t>(body.bytes().size()));
  out.fixed32(static_cast<std::uint32_t>(packed.size()));
  out.checksum(to.hex());
  out.checksum(head.from ? head.from->hex() : kNoCommit);
  out.fixed64(crc64(packed));
  out.fixed32(0);
  out.raw(packed);
  return out.take();
}

Result<std::string> dictionary_of(const DeltaHead& head, const CommitBytes& base) {
  std::string dictionary = HC_TRY(bytes_of(head.from, base));
  dictionary += head.commit;
  return dictionary;
}

}  // namespace hc
