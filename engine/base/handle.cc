#include "engine/base/handle.h"

namespace hc {

Error GErr::as(Code code, std::string_view what) const {
  if (matches(G_IO_ERROR, G_IO_ERROR_NO_SPACE)) code = Code::no_space;
  if (matches(G_IO_ERROR, G_IO_ERROR_CANCELLED)) code = Code::cancelled;
  return {code, std::string(what) + ": " + std::string(text())};
}

}  // namespace hc
