#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

// The signature beside an archive of the original Honeycomb: NAME.tar.gz and NAME.tar.gz.sig. It holds the commit
// object that the archive's content becomes, so that a node judges it before it looks into the archive.
namespace hc {

struct ArchiveSignature {
  std::string commit;    // the bytes of the commit object
  std::string detached;  // what stands beside it: its signatures, as engine/payload/signature.h has them
};

// Reads the JSON text of such a file: {"format": 1, "commit": BASE64, "signatures": [BASE64, ...]}. Total on any bytes:
// Code::invalid for another format, an unknown key, what is no base64, no or more than kMostSignatures signatures. Says
// nothing about trust.
Result<ArchiveSignature> parse_archive_signature(std::string_view text);
// Its counterpart. Fails where `detached` is malformed or holds no signature.
Result<std::string> archive_signature_text(const ArchiveSignature& signature);

}  // namespace hc
