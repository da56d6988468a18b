#include "engine/payload/archive_signature.h"

#include "engine/base/json.h"
#include "engine/base/text.h"
#include "engine/payload/base64.h"
#include "engine/payload/signature.h"
#include "engine/payload/variant.h"

namespace hc {
namespace {

constexpr unsigned kFormat = 1;
// A commit object in base64, and room for the rest.
constexpr std::size_t kFileLimit = kVariantLimit / 3 * 4 + (64 << 10);

Result<std::string> bytes_in(const Json& value, const char* key) {
  if (!value.is_string()) return Error(Code::invalid, "`" + std::string(key) + "` must hold base64 as a string");
  return decode_base64(value.get_ref<const std::string&>()).in("`" + std::string(key) + "`");
}

Status check_keys(const Json& json) {
  if (!json.is_object()) return Error(Code::invalid, "an object is wanted");
  for (const auto& [key, value] : json.items())
    if (key != "format" && key != "commit" && key != "signatures")
      return Error(Code::invalid, quote(key) + " is not a known key");
  const auto format = json.find("format");
  if (format == json.end() || !format->is_number_unsigned() || format->get<std::uint64_t>() != kFormat)
    return Error(Code::invalid, "its `format` is not 1, the only one that this engine reads");
  for (const char* key : {"commit", "signatures"})
    if (!json.contains(key)) return Error(Code::invalid, "the key `" + std::string(key) + "` is missing");
  return ok;
}

}  // namespace

Result<ArchiveSignature> parse_archive_signature(std::string_view text) {
  const Json json = HC_TRY(parse_json(text, kFileLimit));
  HC_TRY(check_keys(json));
  ArchiveSignature signature;
  signature.commit = HC_TRY(bytes_in(json["commit"], "commit"));
  const Json& list = json["signatures"];
  if (!list.is_array() || list.empty() || list.size() > kMostSignatures)
    return Error(Code::invalid, "`signatures` must be a list of 1 to " + std::to_string(kMostSignatures));
  for (const Json& entry : list) {
    const std::string bytes = HC_TRY(bytes_in(entry, "signatures"));
    if (bytes.size() != kSignatureSize)
      return Error(Code::invalid, "a signature has " + std::to_string(bytes.size()) + " bytes instead of 64");
    signature.detached = HC_TRY(append_signature(signature.detached, bytes));
  }
  return signature;
}

Result<std::string> archive_signature_text(const ArchiveSignature& signature) {
  const std::vector<std::string> signatures = HC_TRY(read_signatures(signature.detached));
  if (signatures.empty()) return Error(Code::invalid, "the payload has no signature yet");
  Json list = Json::array();
  for (const std::string& bytes : signatures) list.push_back(encode_base64(bytes));
  return dump_json({{"format", kFormat}, {"commit", encode_base64(signature.commit)}, {"signatures", list}});
}

}  // namespace hc
