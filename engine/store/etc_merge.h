#pragma once

#include <string>
#include <vector>

#include "engine/store/repository.h"

namespace hc {

// The three-way merge of /etc as libostree will do it, on paper: `from` is the version whose /etc (at `local`, with
// this node's changes) is carried over to `to`. Changes nothing. Fails with Code::invalid, naming the paths and both
// sides, where libostree would fail half-way, hang, or follow a link out of the tree. Ok: what people should know, one
// sentence each, sorted by path (a local change wins over a changed default; what is left behind).
Result<std::vector<std::string>> rehearse_etc_merge(const Repository& repository, const Commit& from,
                                                    const fs::path& local, const Commit& to);

}  // namespace hc
