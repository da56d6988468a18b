#include "engine/service/payload_file.h"

#include <sys/stat.h>

#include "engine/base/text.h"
#include "engine/upgrade/source.h"

namespace hc {
namespace {

Status plain_name(const std::string& name) {
  constexpr std::size_t kLongest = 200;
  const bool plain = !name.empty() && name.size() <= kLongest && name[0] != '.' &&
                     name.find('/') == std::string::npos && printable(name) == name &&
                     name.find('\n') == std::string::npos;
  if (plain) return ok;
  return Error(Code::invalid, quote(name) + " is no name of a file in the upgrades directory")
      .with_hint("give the name alone, without a path: queue-upgrade?filename=camera-1.2.tar.gz");
}

bool is_file(const fs::path& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

}  // namespace

Result<fs::path> find_payload_file(const fs::path& upgrades, const std::string& name) {
  HC_TRY(plain_name(name));
  const fs::path path = upgrades / name;
  if (!is_file(path))
    return Error(Code::invalid, "there is no file " + quote(name) + " in " + upgrades.string())
        .with_hint("put it there first");
  if (!names_payload_file(name))
    return Error(Code::invalid,
                 quote(name) + " is no payload that this node knows: its name does not end in .hcb or .tar.gz");
  if (path.extension() != ".hcb" && !is_file(path.string() + ".sig"))
    return Error(Code::untrusted, quote(name) + " is not signed: there is no " + quote(name + ".sig") + " beside it")
        .with_hint("where the key is, `hc-payload sign-archive " + name +
                   " --sequence N --key KEY` makes it; put both into " + upgrades.string());
  return path;
}

}  // namespace hc
