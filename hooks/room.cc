#include "hooks/room.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

namespace hc {

Result<HookRoom> HookRoom::open(const fs::path& parent) {
  std::string path = (parent / "hc-hook-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) return Error::from_errno(errno, "creating " + path);
  HookRoom room{path};
  // Not listed by others, but open to a hook of another user.
  if (chmod(path.c_str(), 0711) != 0) return Error::from_errno(errno, "opening " + path);
  HC_TRY(make_dirs(room.credentials(), 0700));
  return room;
}

HookRoom::~HookRoom() {
  if (path_.empty()) return;
  const Status removed = remove_tree(path_);
  if (!removed) return;  // in memory; it is gone at the next boot
}

}  // namespace hc
