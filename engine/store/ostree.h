#pragma once

#include <ostree.h>

#include <string_view>

#include "engine/base/handle.h"
#include "engine/base/ids.h"

// libostree's types in our owners. Only for engine/store/*.cc.
namespace hc {

using HashTable = Handle<GHashTable, g_hash_table_unref>;
using PtrArray = Handle<GPtrArray, g_ptr_array_unref>;

// The failure of `err` in our words: a missing object or file is damage that trying again does not heal, so it is
// Code::io like the rest, but keeps its own sentence.
inline Error failed(const GErr& err, std::string_view what) { return err.as(Code::io, what); }

// `bytes` as a GVariant of `type` that owns a copy. Foreign bytes: check with g_variant_is_normal_form before trusting.
inline Variant variant_of(std::string_view bytes, const char* type) {
  const Bytes copy(g_bytes_new(bytes.data(), bytes.size()));
  return Variant(g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE(type), copy.get(), FALSE)));
}

inline std::string serialized(GVariant* variant) {
  return {static_cast<const char*>(g_variant_get_data(variant)), g_variant_get_size(variant)};
}

// The name of an object: the SHA-256 of its bytes, in hexadecimal.
inline std::string checksum_of(std::string_view bytes) {
  const GText hex(
      g_compute_checksum_for_data(G_CHECKSUM_SHA256, reinterpret_cast<const guchar*>(bytes.data()), bytes.size()));
  return hex.get();
}

// One libostree transaction (the name of the class leaves that word to the engine); what was not committed is given up
// at the end of the scope.
class RepoWrite {
 public:
  static Result<RepoWrite> begin(OstreeRepo* repo, GCancellable* stop) {
    GErr err;
    if (!ostree_repo_prepare_transaction(repo, nullptr, stop, err))
      return failed(err, "opening the repository to write");
    return RepoWrite(repo);
  }
  RepoWrite(RepoWrite&& other) noexcept : repo_(std::exchange(other.repo_, nullptr)) {}
  RepoWrite(const RepoWrite&) = delete;
  RepoWrite& operator=(const RepoWrite&) = delete;
  RepoWrite& operator=(RepoWrite&&) = delete;
  ~RepoWrite() {
    if (repo_) ostree_repo_abort_transaction(repo_, nullptr, nullptr);
  }

  // After Ok everything written in the transaction is on the disk.
  Status commit(GCancellable* stop) {
    GErr err;
    if (!ostree_repo_commit_transaction(repo_, nullptr, stop, err)) return failed(err, "writing to the repository");
    repo_ = nullptr;
    return ok;
  }

 private:
  explicit RepoWrite(OstreeRepo* repo) : repo_(repo) {}
  OstreeRepo* repo_;
};

}  // namespace hc
