#pragma once

#include <cstdint>
#include <functional>

#include "engine/base/result.h"
#include "engine/store/ostree.h"
#include "engine/store/pull_child.h"

namespace hc {

// Copies every object of `order.commit` that `repo` lacks from the repository in `order.source`, hashing each as it is
// written: never a link to a file that somebody else can still change. An object that does not match its name is
// Code::untrusted and named with the path that uses it. REQUIRES: an open transaction; the commit object is in `repo`.
Status import_local(OstreeRepo* repo, const PullOrder& order,
                    const std::function<void(const char* phase, std::uint64_t bytes, std::uint64_t objects)>& progress);

}  // namespace hc
