#pragma once

#include <vector>

#include "engine/payload/trust.h"
#include "engine/store/repository.h"
#include "image-tools/signers.h"

namespace hc {

// The verdict of a node that trusts `keys` and has what the payload asks for.
Result<Verdict> verify_release(const CommitObject& object, const std::vector<NamedPublicKey>& keys);

}  // namespace hc
