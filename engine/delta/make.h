#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/object_store.h"
#include "engine/delta/difference.h"
#include "engine/delta/head.h"
#include "engine/delta/order.h"
#include "engine/delta/packed_part.h"

// Making deltas; nodes do not link this.
namespace hc {

// How one regular file is written down.
struct FilePlan {
  std::uint64_t size = 0;            // of the file
  std::string content;               // of the file, as if its packed part were unpacked
  std::optional<PackedPart> packed;  // the part
  std::string base;                  // checksum of the old file; empty: from nothing
  std::string old;                   // its content, in the same way
  std::optional<PackedPart> old_packed;
  std::vector<Stretch> stretches;
};

// Decides whether `old` helps, and whether a look into a packed part does. May run on any thread.
Result<FilePlan> plan_file(std::string content, std::string base, std::string old);

// Puts objects into blocks in the order in which they are given.
class DeltaMaker {
 public:
  using Sink = std::function<Status(std::string_view)>;

  // `sink` gets the data that follow the head.
  DeltaMaker(std::string dictionary, Sink sink) : dictionary_(std::move(dictionary)), sink_(std::move(sink)) {}

  Status metadata(ObjectKind kind, const std::string& checksum, std::string_view bytes);
  Status link(const std::string& checksum, const FileAttributes& attributes, const std::string& target);
  Status file(const std::string& checksum, const FileAttributes& attributes, const FilePlan& plan);
  // The list of blocks for the head.
  Result<std::vector<DeltaBlock>> finish();

 private:
  Status stretch(const FilePlan& plan, const Stretch& one, std::uint64_t& at);
  Status differing(std::string_view old, std::string_view fresh, std::uint64_t from);
  Status copy(std::uint64_t from, std::uint64_t length);
  Status data(std::string_view bytes);
  void seek(Order order, std::uint64_t from, std::uint64_t length);
  std::size_t room() const;
  Status room_for_orders(std::size_t size);
  Status flush();

  const std::string dictionary_;
  const Sink sink_;
  std::vector<DeltaBlock> blocks_;

  std::string orders_;
  std::string diff_;
  std::string extra_;
  std::string last_file_;
  std::uint32_t resume_ = 0;                 // of the block being filled
  std::optional<std::uint32_t> open_since_;  // the block in which the file that is being written began
  std::uint64_t base_at_ = 0;
};

}  // namespace hc
