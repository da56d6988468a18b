#include "engine/payload/variant.h"

#include "engine/base/text.h"

namespace hc {

Result<Variant> parse_variant(std::string_view bytes, const char* type, std::string_view what) {
  if (bytes.size() > kVariantLimit)
    return Error(Code::invalid, std::string(what) + " has " + std::to_string(bytes.size()) + " bytes; at most " +
                                    std::to_string(kVariantLimit) + " are allowed");
  // A copy from malloc is aligned as GVariant wants it; `bytes` may lie anywhere.
  const Bytes copy(g_bytes_new(bytes.data(), bytes.size()));
  Variant value(g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE(type), copy.get(), FALSE)));
  if (!g_variant_is_normal_form(value.get()))
    return Error(Code::invalid, std::string(what) + " is damaged or something else: its bytes are no GVariant " + type +
                                    " in normal form");
  return value;
}

Result<Variant> find_value(GVariant* dictionary, std::string_view key, const char* type) {
  Variant found;
  const gsize count = g_variant_n_children(dictionary);
  for (gsize i = 0; i < count; ++i) {
    const Variant entry(g_variant_get_child_value(dictionary, i));
    const Variant name(g_variant_get_child_value(entry.get(), 0));
    if (key != g_variant_get_string(name.get(), nullptr)) continue;
    if (found) return Error(Code::invalid, "the key " + quote(key) + " stands twice");
    const Variant boxed(g_variant_get_child_value(entry.get(), 1));
    found.reset(g_variant_get_variant(boxed.get()));
    if (!g_variant_is_of_type(found.get(), G_VARIANT_TYPE(type)))
      return Error(Code::invalid, "the key " + quote(key) + " has type " + g_variant_get_type_string(found.get()) +
                                      " instead of " + type);
  }
  return found;
}

std::string bytes_of(GVariant* value) {
  const auto* data = static_cast<const char*>(g_variant_get_data(value));
  return data == nullptr ? std::string() : std::string(data, g_variant_get_size(value));
}

}  // namespace hc
