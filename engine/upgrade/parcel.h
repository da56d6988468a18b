#pragma once

#include <optional>
#include <vector>

#include "engine/payload/metadata.h"
#include "engine/store/repository.h"

namespace hc {

// A peripheral's payload that lies in an OS payload, below usr/lib/honeycomb/peripherals/NAME.
struct Parcel {
  PeripheralMetadata metadata;
  VerifiedPayload payload;
};

// All that `os` brings, sorted by name. Fails where one is malformed: Code::invalid with its place. REQUIRES: `os` is
// complete in the repository.
Result<std::vector<Parcel>> parcels_of(Repository& repository, const VerifiedPayload& os);

// The one for `target`, or nothing.
Result<std::optional<Parcel>> parcel_for(Repository& repository, const VerifiedPayload& os, const Target& target);

// metadata.json in the root of a peripheral's commit.
Result<PeripheralMetadata> metadata_of(const Repository& repository, const Commit& commit);

}  // namespace hc
