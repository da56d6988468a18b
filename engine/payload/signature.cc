#include "engine/payload/signature.h"

#include <algorithm>
#include <cassert>

#include "engine/payload/variant.h"

namespace hc {
namespace {

constexpr const char* kKey = "ostree.sign.ed25519";

Result<Variant> dictionary_of(std::string_view detached) {
  return parse_variant(detached, "a{sv}", "the detached metadata");
}

Result<std::vector<std::string>> signatures_in(GVariant* dictionary) {
  std::vector<std::string> signatures;
  const Variant list = HC_TRY(find_value(dictionary, kKey, "aay"));
  if (!list) return signatures;
  const gsize count = g_variant_n_children(list.get());
  if (count > kMostSignatures)
    return Error(Code::invalid, "there are " + std::to_string(count) + " signatures; at most " +
                                    std::to_string(kMostSignatures) + " are allowed");
  for (gsize i = 0; i < count; ++i) {
    const Variant element(g_variant_get_child_value(list.get(), i));
    signatures.push_back(bytes_of(element.get()));
    if (signatures.back().size() != kSignatureSize)
      return Error(Code::invalid, "signature " + std::to_string(i + 1) + " has " +
                                      std::to_string(signatures.back().size()) + " bytes instead of 64");
  }
  return signatures;
}

GVariant* byte_arrays(const std::vector<std::string>& texts) {
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("aay"));
  for (const std::string& text : texts)
    g_variant_builder_add_value(&builder, g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, text.data(), text.size(), 1));
  return g_variant_builder_end(&builder);
}

}  // namespace

Result<std::vector<std::string>> read_signatures(std::string_view detached) {
  const Variant dictionary = HC_TRY(dictionary_of(detached));
  return signatures_in(dictionary.get());
}

Result<std::string> append_signature(std::string_view detached, std::string_view signature) {
  assert(signature.size() == kSignatureSize);
  const Variant dictionary = HC_TRY(dictionary_of(detached));
  std::vector<std::string> signatures = HC_TRY(signatures_in(dictionary.get()));
  if (std::find(signatures.begin(), signatures.end(), signature) != signatures.end()) return std::string(detached);
  signatures.emplace_back(signature);

  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sv}"));
  for (gsize i = 0; i < g_variant_n_children(dictionary.get()); ++i) {
    const Variant entry(g_variant_get_child_value(dictionary.get(), i));
    const Variant name(g_variant_get_child_value(entry.get(), 0));
    if (std::string_view(g_variant_get_string(name.get(), nullptr)) == kKey) continue;
    g_variant_builder_add_value(&builder, entry.get());
  }
  g_variant_builder_add(&builder, "{sv}", kKey, byte_arrays(signatures));
  const Variant extended(g_variant_ref_sink(g_variant_builder_end(&builder)));
  return bytes_of(extended.get());
}

}  // namespace hc
