#pragma once

#include "engine/base/ids.h"

typedef struct OstreeRepo OstreeRepo;

namespace hc {

// Says whether a commit's content may be incomplete; durable.
Status mark_partial(OstreeRepo* repo, const Commit& commit, bool partial);

}  // namespace hc
