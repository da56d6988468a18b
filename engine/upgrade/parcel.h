#pragma once

#include <vector>

#include "engine/payload/metadata.h"
#include "engine/store/repository.h"

namespace hc {

// A peripheral's payload that lies in an OS payload, below usr/lib/honeycomb/peripherals/NAME.
struct Parcel {
  PeripheralMetadata metadata;
  VerifiedPayload payload;
};

// All that `os` brings, each after those of them that it requires, else by name. Fails where one is malformed:
// Code::invalid with its place. REQUIRES: `os` is complete in the repository.
Result<std::vector<Parcel>> parcels_of(Repository& repository, const VerifiedPayload& os);

// metadata.json in the root of a peripheral's commit.
Result<PeripheralMetadata> metadata_of(const Repository& repository, const Commit& commit);

}  // namespace hc
