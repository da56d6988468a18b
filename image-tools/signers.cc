#include "image-tools/signers.h"

#include <unistd.h>

#include <memory>
#include <set>

#include "engine/base/process.h"
#include "engine/base/text.h"
#include "engine/payload/base64.h"
#include "engine/payload/signature.h"
#include "image-tools/scratch.h"

namespace hc {
namespace {

constexpr std::uint64_t kMostBytes = 64 << 10;
constexpr std::int64_t kCommandMs = 600'000;  // somebody may have to touch a device

std::string name_of(const std::string& path) { return fs::path(path).stem().string(); }

// What a program that signs may need of ours: PIN variables, the bus of an agent, a home directory.
std::map<std::string, std::string> our_environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::size_t sign = text.find('=');
    if (sign != std::string::npos) variables[text.substr(0, sign)] = text.substr(sign + 1);
  }
  return variables;
}

Result<std::string> sign_by_command(const std::string& command, const NamedPublicKey& key, const std::string& bytes) {
  const Scratch scratch = HC_TRY(Scratch::make());
  const fs::path input = scratch.path() / "input";
  const fs::path output = scratch.path() / "output";
  HC_TRY(write_atomically(input, bytes, 0600));
  std::error_code error;
  CommandOptions options;
  options.directory = fs::current_path(error);
  options.environment = our_environment();
  options.timeout_ms = kCommandMs;
  const CommandResult done = HC_TRY(run_command({command, input, output}, options).in("signing with " + command));
  if (done.status != 0)
    return Error(Code::invalid, command + " did not sign: it ended with status " + std::to_string(done.status) + ": " +
                                    printable(trimmed(done.errors)))
        .with_hint("it is run as `" + command + " INPUT OUTPUT` and has to write the signature over INPUT to OUTPUT");
  std::string signature = HC_TRY(load_signature(output).in(command));
  if (!signature_is_good(key.key.raw, bytes, signature))
    return Error(Code::untrusted, "what " + command + " wrote is no signature of the key " + key.name)
        .with_hint("give the public half of the key that it signs with; Ed25519 over the whole input is wanted");
  return signature;
}

Result<Signer> command_signer(const SignerArgs& args) {
  std::vector<NamedPublicKey> keys = HC_TRY(load_public_keys(args.command_keys));
  if (keys.size() != 1)
    return Error(Code::invalid, "--sign-command needs one --sign-key: the public half of the key that it signs with");
  const bool is_path = args.command.find('/') != std::string::npos;
  const std::string command = is_path ? fs::absolute(args.command).string() : args.command;
  const NamedPublicKey key = std::move(keys.front());
  return Signer{key.name, key.key.raw,
                [command, key](const std::string& bytes) { return sign_by_command(command, key, bytes); }};
}

}  // namespace

Result<std::vector<Signer>> load_signers(const SignerArgs& args) {
  std::vector<Signer> signers;
  std::set<std::string> seen;
  for (const std::string& path : args.keys) {
    const auto key = std::make_shared<PrivateKey>(HC_TRY(PrivateKey::load(path)));
    if (seen.insert(key->public_raw()).second)
      signers.push_back(
          {name_of(path), key->public_raw(), [key](const std::string& bytes) { return key->sign(bytes); }});
  }
  if (args.command.empty()) return signers;
  Signer by_command = HC_TRY(command_signer(args));
  if (seen.insert(by_command.public_raw).second) signers.push_back(std::move(by_command));
  return signers;
}

Result<std::vector<NamedPublicKey>> load_public_keys(const std::vector<std::string>& paths) {
  std::vector<NamedPublicKey> keys;
  for (const std::string& path : paths) {
    const std::string text = HC_TRY(read_file(path, kMostBytes));
    const bool pem = text.find("-----BEGIN PUBLIC KEY-----") != std::string::npos;
    PublicKey key = HC_TRY((pem ? PublicKey::from_pem(text) : PublicKey::parse(text)).in(path));
    keys.push_back({name_of(path), std::move(key)});
  }
  return keys;
}

Result<std::string> load_signature(const fs::path& path) {
  std::string bytes = HC_TRY(read_file(path, kMostBytes));
  if (bytes.size() == kSignatureSize) return bytes;
  const auto decoded = decode_base64(trimmed(bytes));
  if (decoded && decoded->size() == kSignatureSize) return *decoded;
  return Error(Code::invalid, path.string() +
                                  " is no Ed25519 signature: 64 bytes are wanted, or their base64; it has " +
                                  std::to_string(bytes.size()));
}

}  // namespace hc
