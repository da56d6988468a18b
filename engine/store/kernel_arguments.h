#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

// Kernel arguments as lists: what a version brings by default, and what belongs to this node.
namespace hc {

using KernelArguments = std::vector<std::string>;

// The arguments of a command line, in order; blanks between double quotes belong to the argument, as for the kernel.
// Fails on a quote without an end and on control characters.
Result<KernelArguments> split_arguments(std::string_view line);
std::string join_arguments(const KernelArguments& arguments);

// The defaults in one file of kargs.d: one argument a line (or several with blanks between), `#` starts a comment.
Result<KernelArguments> parse_default_arguments(std::string_view text);

// What of `all` belongs to the node: everything but `defaults` (each taken away once, so an argument that the node has
// besides the default stays) and what names a deployment (ostree=, init=/ostree/...). Order is kept.
KernelArguments own_arguments(const KernelArguments& all, const KernelArguments& defaults);

}  // namespace hc
