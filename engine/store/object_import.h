#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/base/object_store.h"
#include "engine/store/repository.h"

typedef struct _OstreeContentWriter OstreeContentWriter;

namespace hc {

// Brings the content of a verified payload into the node's repository, object by object; no object is kept under a name
// that is not its own. What was not kept (keep(), end()) is lost with this.
class ObjectImport final : public ObjectStore {
 public:
  // `most`: bytes that may come in all, where the commit says so. REQUIRES: the payload's commit object is in the
  // repository, which is no archive.
  static Result<std::unique_ptr<ObjectImport>> begin(Repository& repository, const VerifiedPayload& payload,
                                                     std::optional<std::uint64_t> most);
  ~ObjectImport() override;

  Result<bool> has_file(const std::string& checksum) override;
  Result<std::unique_ptr<BaseFile>> base(const std::string& checksum) override;
  Status put_metadata(ObjectKind kind, const std::string& checksum, std::string_view bytes) override;
  Status put_link(const std::string& checksum, const FileAttributes& attributes, const std::string& target) override;
  Status begin_file(const std::string& checksum, const FileAttributes& attributes, std::uint64_t size) override;
  Status write(std::string_view piece) override;
  Status end_file() override;
  Status keep() override;

  // Keeps all. Ok with true: the payload is complete now.
  Result<bool> end();

 private:
  ObjectImport(Repository& repository, const VerifiedPayload& payload, std::optional<std::uint64_t> most);
  Status open();
  Status allow(std::uint64_t size);

  struct Write;
  Repository& repository_;
  const VerifiedPayload payload_;
  std::optional<std::uint64_t> most_;
  std::unique_ptr<Write> write_;  // the open transaction of libostree
  std::string file_;              // checksum of the file that is being written
  GRef<OstreeContentWriter> content_;
};

}  // namespace hc
