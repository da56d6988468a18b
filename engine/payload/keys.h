#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/file.h"

typedef struct evp_pkey_st EVP_PKEY;  // OpenSSL's own name; only engine/payload's .cc files include its headers

// Ed25519 keys (RFC 8032) as files.
namespace hc {

inline constexpr std::size_t kPublicKeySize = 32;

// Signs payloads. Kept in a file of its own as unencrypted PEM (PKCS #8), the form that `openssl genpkey -algorithm
// ed25519` writes.
class PrivateKey {
 public:
  static Result<PrivateKey> generate();
  // Refuses encrypted files and other kinds of key; never asks for a passphrase.
  static Result<PrivateKey> load(const fs::path& path);

  // Makes a new file of mode 0600, durable. Fails with Code::invalid where `path` exists: a key is never overwritten.
  Status save(const fs::path& path) const;

  // The signature over `bytes`, 64 bytes. The same key and bytes always give the same signature.
  Result<std::string> sign(std::string_view bytes) const;
  // The public half, kPublicKeySize raw bytes.
  const std::string& public_raw() const { return public_raw_; }

 private:
  PrivateKey(std::shared_ptr<EVP_PKEY> key, std::string public_raw)
      : key_(std::move(key)), public_raw_(std::move(public_raw)) {}
  static Result<PrivateKey> adopt_key(EVP_PKEY* key);

  std::shared_ptr<EVP_PKEY> key_;
  std::string public_raw_;
};

// The content of a *.pub file. Two forms are read:
//   [key]                                     one line with the base64 of the 32 bytes, as libostree's
//   public=BASE64 of the 32 bytes             trusted.ed25519.d has it; it may sign for every target.
//   targets=os;ptz-*;
// Both keys of the first form are wanted and no other is known: a typing error must not widen what a key may do.
struct PublicKey {
  std::string raw;                   // kPublicKeySize bytes
  std::vector<std::string> targets;  // globs

  static Result<PublicKey> parse(std::string_view text);
  // The same of what OpenSSL writes ("-----BEGIN PUBLIC KEY-----"), for every target.
  static Result<PublicKey> from_pem(std::string_view text);
  std::string to_text() const;
};

// True where `signature` is the signature over `bytes` of the key whose public half is `public_raw`. False for all
// else, malformed keys and signatures included.
bool signature_is_good(std::string_view public_raw, std::string_view bytes, std::string_view signature);

}  // namespace hc
