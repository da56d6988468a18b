#include "image-tools/provenance.h"

#include "engine/base/json.h"
#include "engine/base/text.h"
#include "engine/payload/base64.h"

namespace hc {
namespace {

constexpr const char* kPayloadType = "application/vnd.in-toto+json";
constexpr std::size_t kLimit = 1 << 20;

// What a DSSE signature is over.
std::string pre_authentication(const std::string& payload) {
  const std::string type = kPayloadType;
  return "DSSEv1 " + std::to_string(type.size()) + " " + type + " " + std::to_string(payload.size()) + " " + payload;
}

std::string statement_of(const Provenance& provenance) {
  const Manifest& manifest = provenance.manifest;
  Json parameters = {{"target", manifest.target.name()},
                     {"version", manifest.version.text()},
                     {"sequence", manifest.sequence},
                     {"timestamp", manifest.built_at}};
  Json dependencies = Json::array();
  if (provenance.source) {
    Json entry;
    entry["uri"] = "git+" + provenance.source->url;
    entry["digest"]["gitCommit"] = provenance.source->commit;
    dependencies.push_back(std::move(entry));
  }
  Json subject;
  subject["name"] = manifest.target.name() + "/" + manifest.version.text();
  subject["digest"]["sha256"] = provenance.commit.hex();
  Json definition;
  definition["buildType"] = "urn:honeycomb:hc-payload-build:1";
  definition["externalParameters"] = std::move(parameters);
  definition["internalParameters"]["hc-payload"] = HC_VERSION;
  definition["resolvedDependencies"] = std::move(dependencies);
  Json statement;
  statement["_type"] = "https://in-toto.io/Statement/v1";
  statement["subject"].push_back(std::move(subject));
  statement["predicateType"] = "https://slsa.dev/provenance/v1";
  statement["predicate"]["buildDefinition"] = std::move(definition);
  statement["predicate"]["runDetails"]["builder"]["id"] = provenance.builder;
  statement["predicate"]["runDetails"]["metadata"]["finishedOn"] = provenance.finished_at;
  return statement.dump();
}

Result<std::string> base64_member(const Json& object, const char* key) {
  const auto member = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || member == object.end() || !member->is_string())
    return Error(Code::invalid, "`" + std::string(key) + "` is missing");
  return decode_base64(member->get_ref<const std::string&>()).in("`" + std::string(key) + "`");
}

bool speaks_of(const Json& statement, const Commit& commit) {
  if (!statement.is_object() || !statement.contains("subject")) return false;
  const Json& subjects = statement["subject"];
  if (!subjects.is_array() || subjects.size() != 1 || !subjects[0].is_object()) return false;
  return subjects[0].value("/digest/sha256"_json_pointer, "") == commit.hex();
}

}  // namespace

Result<std::string> provenance_text(const Provenance& provenance, const std::vector<Signer>& signers) {
  const std::string payload = statement_of(provenance);
  Json envelope;
  envelope["payloadType"] = kPayloadType;
  envelope["payload"] = encode_base64(payload);
  envelope["signatures"] = Json::array();
  for (const Signer& signer : signers) {
    const std::string signature = HC_TRY(signer.sign(pre_authentication(payload)));
    Json entry;
    entry["keyid"] = signer.name;
    entry["sig"] = encode_base64(signature);
    envelope["signatures"].push_back(std::move(entry));
  }
  return dump_json(envelope, -1);
}

Result<std::vector<std::string>> check_provenance(std::string_view text, const Commit& commit, const Keyring& keyring) {
  const Json envelope = HC_TRY(parse_json(text, kLimit));
  const std::string payload = HC_TRY(base64_member(envelope, "payload"));
  if (envelope.value("payloadType", Json()) != kPayloadType || !envelope.contains("signatures"))
    return Error(Code::invalid, "this is no signed in-toto statement");
  std::vector<std::string> names;
  for (const TrustedKey& key : keyring.keys) {
    if (keyring.revoked.contains(key.raw)) continue;
    bool good = false;
    for (const Json& entry : envelope["signatures"]) {
      const std::string signature = HC_TRY(base64_member(entry, "sig"));
      good = good || signature_is_good(key.raw, pre_authentication(payload), signature);
    }
    if (good) names.push_back(key.name);
  }
  if (names.empty()) return Error(Code::untrusted, "the statement has no good signature of a given key");
  const Json statement = HC_TRY(parse_json(payload, kLimit));
  if (!speaks_of(statement, commit))
    return Error(Code::untrusted, "the statement speaks of something else than commit " + commit.brief());
  return names;
}

fs::path provenance_path(const fs::path& repo, const Commit& commit) {
  return repo / "honeycomb/provenance" / (commit.hex() + ".dsse.json");
}

}  // namespace hc
