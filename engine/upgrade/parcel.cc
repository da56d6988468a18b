#include "engine/upgrade/parcel.h"

#include "engine/base/text.h"

namespace hc {
namespace {

constexpr const char* kParcels = "usr/lib/honeycomb/peripherals";

Result<PeripheralMetadata> read_metadata(const Repository& repository, const Commit& commit, const std::string& path) {
  const std::optional<std::string> text = HC_TRY(repository.read_file(commit, path));
  if (!text) return Error(Code::invalid, "commit " + commit.brief() + " has no " + path);
  auto metadata = parse_metadata(*text);
  if (!metadata) return std::move(metadata).error().in(path);
  return metadata;
}

Result<Parcel> open(Repository& repository, const VerifiedPayload& os, const Target& target) {
  const std::string directory = std::string(kParcels) + "/" + target.name();
  PeripheralMetadata metadata = HC_TRY(read_metadata(repository, os.commit(), directory + "/metadata.json"));
  if (metadata.target != target)
    return Error(Code::invalid, directory + "/metadata.json names the peripheral " + quote(metadata.peripheral_name) +
                                    ", which is " + metadata.target.name());
  VerifiedPayload part = HC_TRY(repository.part(os, directory, metadata.config_version.text()));
  return Parcel{std::move(metadata), std::move(part)};
}

}  // namespace

Result<std::vector<Parcel>> parcels_of(Repository& repository, const VerifiedPayload& os) {
  std::vector<Parcel> parcels;
  for (const std::string& name : HC_TRY(repository.directories(os.commit(), kParcels))) {
    const Target target = HC_TRY(Target::parse(name).in(kParcels));
    parcels.push_back(HC_TRY(open(repository, os, target)));
  }
  return parcels;
}

Result<std::optional<Parcel>> parcel_for(Repository& repository, const VerifiedPayload& os, const Target& target) {
  for (const std::string& name : HC_TRY(repository.directories(os.commit(), kParcels))) {
    if (name != target.name()) continue;
    Parcel parcel = HC_TRY(open(repository, os, target));
    return std::optional(std::move(parcel));
  }
  return std::optional<Parcel>();
}

Result<PeripheralMetadata> metadata_of(const Repository& repository, const Commit& commit) {
  return read_metadata(repository, commit, "metadata.json");
}

}  // namespace hc
