#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/base/object_store.h"
#include "engine/delta/head.h"
#include "engine/delta/order.h"
#include "engine/delta/packed_part.h"

namespace hc {

// Takes the data of a delta as they come, in pieces of any size, and puts objects into a store. Holds one block in
// memory at a time (kMostBlockMemory at the most), and beside it what a packed part needs (packed_part.h). Total on any
// bytes: what is no good delta fails with Code::invalid or, where an object is not what its name says, Code::untrusted.
class DeltaApply {
 public:
  // `head` outlives it. `dictionary`: dictionary_of().
  DeltaApply(const DeltaHead& head, std::string dictionary, ObjectStore& store)
      : head_(head), dictionary_(std::move(dictionary)), store_(store) {}

  // Looks which blocks have been applied already, and begins with the first that is wanted.
  Status begin();
  // Where in the data the next byte is wanted. After an error: begin() says it anew.
  std::uint64_t position() const { return block_start_ + pending_.size(); }
  bool done() const { return block_ == head_.blocks.size(); }

  // No file is half written: what is kept now is not begun again.
  bool between_files() const { return !open_; }

  Status feed(std::string_view bytes);
  // Fails where data are missing.
  Status finish() const;

 private:
  struct Cursor;  // into one unpacked block

  Status apply_block();
  Status carry_out(Cursor& at);
  static Status pass_over(Cursor& at, Order order);
  Status put_metadata(Cursor& at);
  Status put_link(Cursor& at);
  Status begin_file(Cursor& at);
  Status begin_packed(Cursor& at);
  Status take_base(Cursor& at, Order order);
  Status take_diff(Cursor& at);
  Status take_data(Cursor& at);
  Status take_copy(Cursor& at);
  Status seek(Cursor& at, std::uint64_t& length);
  Status write(std::string_view piece);
  Status put(std::string_view piece);

  const DeltaHead& head_;
  const std::string dictionary_;
  ObjectStore& store_;

  std::size_t block_ = 0;
  std::uint64_t block_start_ = 0;
  std::string pending_;  // what has come of the block

  Order last_{};                 // what was carried out
  bool midway_ = false;          // the first block may begin with the end of a file that is here
  bool open_ = false;            // a file is being written
  bool unwanted_ = false;        // it is here already
  std::uint64_t left_ = 0;       // bytes of it still to come, as if it were unpacked
  std::uint64_t file_left_ = 0;  // the same, as it is
  std::unique_ptr<Repacker> repacker_;
  std::unique_ptr<BaseFile> base_;
  std::uint64_t base_at_ = 0;
};

}  // namespace hc
