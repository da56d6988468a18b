#include "engine/upgrade/parcel.h"

#include <algorithm>

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

// Those that require each other in a circle keep their order by name.
std::vector<Parcel> in_order(std::vector<Parcel> parcels) {
  std::vector<Parcel> ordered;
  const auto waits = [&](const Parcel& parcel) {
    return std::any_of(parcels.begin(), parcels.end(), [&](const Parcel& other) {
      return other.metadata.target != parcel.metadata.target &&
             parcel.metadata.requires_versions.contains(other.metadata.target.name());
    });
  };
  while (!parcels.empty()) {
    auto next = std::find_if_not(parcels.begin(), parcels.end(), waits);
    if (next == parcels.end()) next = parcels.begin();
    Parcel taken = *next;
    parcels.erase(next);
    ordered.push_back(std::move(taken));
  }
  return ordered;
}

}  // namespace

Result<std::vector<Parcel>> parcels_of(Repository& repository, const VerifiedPayload& os) {
  std::vector<Parcel> parcels;
  for (const std::string& name : HC_TRY(repository.directories(os.commit(), kParcels))) {
    const Target target = HC_TRY(Target::parse(name).in(kParcels));
    parcels.push_back(HC_TRY(open(repository, os, target)));
  }
  return in_order(std::move(parcels));
}

Result<PeripheralMetadata> metadata_of(const Repository& repository, const Commit& commit) {
  return read_metadata(repository, commit, "metadata.json");
}

}  // namespace hc
