#include "engine/payload/base64.h"

#include "engine/base/handle.h"

namespace hc {

std::string encode_base64(std::string_view bytes) {
  const GText text(g_base64_encode(reinterpret_cast<const guchar*>(bytes.data()), bytes.size()));
  return text.get();
}

Result<std::string> decode_base64(std::string_view text) {
  const std::string encoded(text);
  gsize size = 0;
  const Handle<guchar, g_free> decoded(g_base64_decode(encoded.c_str(), &size));
  std::string bytes(reinterpret_cast<const char*>(decoded.get()), size);
  // g_base64_decode() passes over what is not base64.
  if (bytes.empty() || encode_base64(bytes) != encoded) return Error(Code::invalid, "this is no base64");
  return bytes;
}

}  // namespace hc
