#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

// The detached metadata that stands beside a commit: an a{sv} in which the key `ostree.sign.ed25519` holds an aay, each
// element the 64 raw bytes of one Ed25519 signature over the commit object's own bytes. This is libostree's layout
// (src/libostree/ostree-sign-ed25519.c), so either side can check what the other signed.
namespace hc {

inline constexpr std::size_t kSignatureSize = 64;
// More would only cost time: each one is tried with each key.
inline constexpr std::size_t kMostSignatures = 64;

// The signatures in `detached`, in their order; none where it is empty or has no such key. Total on any bytes: foreign
// or malformed ones, an element of another size and more than kMostSignatures fail with Code::invalid.
Result<std::vector<std::string>> read_signatures(std::string_view detached);

// `detached` (empty: none yet) with `signature` added and every other key kept as it is. A signature that it has
// already is not added again. REQUIRES: signature.size() == kSignatureSize.
Result<std::string> append_signature(std::string_view detached, std::string_view signature);

}  // namespace hc
