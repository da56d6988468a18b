#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/payload/keys.h"

// Who signs: a key in a file, or a program that asks a device or a service which never gives its key away.
namespace hc {

struct SignerArgs {
  std::vector<std::string> keys;          // private keys, as files
  std::string command;                    // a program, run as PROGRAM INPUT OUTPUT
  std::vector<std::string> command_keys;  // the public half of the key that it signs with, .pub or PEM; one
};

struct Signer {
  std::string name;  // of the key's file, without its extension
  std::string public_raw;
  std::function<Result<std::string>(const std::string& bytes)> sign;  // the 64 bytes, checked
};

// Every key once, in their order; the program last. Fails where a file is no key, or a program has no public key.
Result<std::vector<Signer>> load_signers(const SignerArgs& args);

struct NamedPublicKey {
  std::string name;
  PublicKey key;
};
// *.pub files, or public keys in PEM, which may sign for every target.
Result<std::vector<NamedPublicKey>> load_public_keys(const std::vector<std::string>& paths);

// The content of a file that holds one signature: its 64 bytes, or their base64.
Result<std::string> load_signature(const fs::path& path);

}  // namespace hc
