#include "engine/payload/keys.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/base/handle.h"
#include "engine/base/text.h"
#include "engine/payload/base64.h"
#include "engine/payload/signature.h"

namespace hc {
namespace {

using KeyHandle = Handle<EVP_PKEY, EVP_PKEY_free>;
using KeyContext = Handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using Digest = Handle<EVP_MD_CTX, EVP_MD_CTX_free>;
using Stream = Handle<BIO, BIO_free_all>;

const unsigned char* raw_bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* raw_bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

Error openssl_failed(const std::string& what) {
  const unsigned long code = ERR_get_error();
  const char* reason = ERR_reason_error_string(code);
  ERR_clear_error();
  return {Code::internal, what + ": " + (reason == nullptr ? "OpenSSL gives no reason" : reason)};
}

// Without it OpenSSL would ask on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*context*/) { return -1; }

Status write_new_file(const fs::path& path, std::string_view content, unsigned mode) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd && errno == EEXIST)
    return Error(Code::invalid, path.string() + " exists already and is never overwritten")
        .with_hint("choose another name, or move the old key away");
  if (!fd) return Error::from_errno(errno, "creating " + path.string());
  // Fits one write: a key is some hundred bytes.
  const bool written = ::write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size());
  if (!written || ::fsync(fd.get()) != 0) {
    const Error error = Error::from_errno(errno, "writing " + path.string());
    ::unlink(path.c_str());
    return error;
  }
  return sync_dir(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

Result<std::string> decode_public(std::string_view text) {
  const std::string_view encoded = trimmed(text);
  auto raw = decode_base64(encoded);
  if (!raw || raw->size() != kPublicKeySize)
    return Error(Code::invalid,
                 quote(std::string(encoded)) + " is no Ed25519 public key: the base64 of 32 bytes is wanted");
  return raw;
}

Status check_names(GKeyFile* file) {
  const Handle<gchar*, g_strfreev> groups(g_key_file_get_groups(file, nullptr));
  for (gchar** group = groups.get(); *group != nullptr; ++group)
    if (std::string_view(*group) != "key")
      return Error(Code::invalid, "the section " + quote(*group) + " is not known; only `key` is");
  const Handle<gchar*, g_strfreev> keys(g_key_file_get_keys(file, "key", nullptr, nullptr));
  for (gchar** key = keys.get(); key != nullptr && *key != nullptr; ++key)
    if (std::string_view(*key) != "public" && std::string_view(*key) != "targets")
      return Error(Code::invalid, "the key " + quote(*key) + " is not known; `public` and `targets` are");
  return ok;
}

Result<PublicKey> parse_key_file(const std::string& text) {
  const KeyFile file(g_key_file_new());
  GErr error;
  if (!g_key_file_load_from_data(file.get(), text.data(), text.size(), G_KEY_FILE_NONE, error))
    return error.as(Code::invalid, "reading the key file");
  HC_TRY(check_names(file.get()));
  GErr missing;
  const GText encoded(g_key_file_get_string(file.get(), "key", "public", missing));
  if (!encoded) return missing.as(Code::invalid, "reading `public`");
  PublicKey key;
  key.raw = HC_TRY(decode_public(encoded.get()));
  GErr no_targets;
  const Handle<gchar*, g_strfreev> targets(
      g_key_file_get_string_list(file.get(), "key", "targets", nullptr, no_targets));
  if (!targets) return no_targets.as(Code::invalid, "reading `targets`");
  for (gchar** target = targets.get(); *target != nullptr; ++target)
    if (const std::string_view word = trimmed(*target); !word.empty()) key.targets.emplace_back(word);
  if (key.targets.empty())
    return Error(Code::invalid, "`targets` names no target").with_hint("write `targets=*;` for all of them");
  return key;
}

}  // namespace

Result<PrivateKey> PrivateKey::adopt_key(EVP_PKEY* key) {
  std::shared_ptr<EVP_PKEY> owned(key, EVP_PKEY_free);
  std::string raw(kPublicKeySize, '\0');
  std::size_t size = raw.size();
  if (EVP_PKEY_get_raw_public_key(key, raw_bytes(raw), &size) != 1 || size != kPublicKeySize)
    return openssl_failed("taking the public half of a key");
  return PrivateKey(std::move(owned), std::move(raw));
}

Result<PrivateKey> PrivateKey::generate() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  if (key == nullptr) return openssl_failed("making an Ed25519 key");
  return adopt_key(key);
}

Result<PrivateKey> PrivateKey::load(const fs::path& path) {
  std::string text = HC_TRY(read_file(path, 64 << 10));
  const Stream stream(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  KeyHandle key(PEM_read_bio_PrivateKey(stream.get(), nullptr, no_passphrase, nullptr));
  OPENSSL_cleanse(text.data(), text.size());
  if (!key) {
    ERR_clear_error();
    return Error(Code::invalid, path.string() + " is no unencrypted private key in PEM form")
        .with_hint("make one with `hc-payload keygen`, or decrypt it with `openssl pkey`");
  }
  if (EVP_PKEY_is_a(key.get(), "ED25519") != 1)
    return Error(Code::invalid, path.string() + " holds a key of another kind; Ed25519 is wanted");
  return adopt_key(key.release()).in(path.string());
}

Status PrivateKey::save(const fs::path& path) const {
  const Stream stream(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PKCS8PrivateKey(stream.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_failed("writing a key as PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(stream.get(), &data);
  return write_new_file(path, std::string_view(data, static_cast<std::size_t>(size)), 0600);
}

Result<std::string> PrivateKey::sign(std::string_view bytes) const {
  const Digest digest(EVP_MD_CTX_new());
  std::string signature(kSignatureSize, '\0');
  std::size_t size = signature.size();
  if (EVP_DigestSignInit(digest.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(digest.get(), raw_bytes(signature), &size, raw_bytes(bytes), bytes.size()) != 1 ||
      size != kSignatureSize)
    return openssl_failed("signing");
  return signature;
}

Result<PublicKey> PublicKey::parse(std::string_view text) {
  const std::string_view body = trimmed(text);
  if (body.find('\n') == std::string_view::npos && !body.starts_with('[')) {
    PublicKey key;
    key.raw = HC_TRY(decode_public(body));
    key.targets = {"*"};
    return key;
  }
  return parse_key_file(std::string(text));
}

Result<PublicKey> PublicKey::from_pem(std::string_view text) {
  const Stream stream(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  const KeyHandle pem(PEM_read_bio_PUBKEY(stream.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  PublicKey key;
  key.targets = {"*"};
  key.raw.resize(kPublicKeySize);
  std::size_t size = kPublicKeySize;
  if (!pem || EVP_PKEY_is_a(pem.get(), "ED25519") != 1 ||
      EVP_PKEY_get_raw_public_key(pem.get(), raw_bytes(key.raw), &size) != 1)
    return Error(Code::invalid, "this is no Ed25519 public key in PEM form")
        .with_hint("`openssl pkey -in KEY -pubout` writes one");
  return key;
}

std::string PublicKey::to_text() const {
  std::string text = "[key]\npublic=" + encode_base64(raw) + "\ntargets=";
  for (const std::string& target : targets) text += target + ";";
  return text + "\n";
}

bool signature_is_good(std::string_view public_raw, std::string_view bytes, std::string_view signature) {
  if (public_raw.size() != kPublicKeySize || signature.size() != kSignatureSize) return false;
  const KeyHandle key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw_bytes(public_raw), public_raw.size()));
  const Digest digest(EVP_MD_CTX_new());
  const bool good =
      key && digest && EVP_DigestVerifyInit(digest.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(digest.get(), raw_bytes(signature), signature.size(), raw_bytes(bytes), bytes.size()) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace hc
