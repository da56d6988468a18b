#include <sys/stat.h>

#include <cerrno>

#include "engine/base/text.h"
#include "engine/payload/metadata.h"
#include "image-tools/payload_verbs.h"
#include "image-tools/scaffold.h"

namespace hc {
namespace {

constexpr std::string_view kPlaceholder = "PERIPHERAL_NAME";

std::string with_name(std::string_view content, const std::string& name) {
  std::string text(content);
  for (std::size_t at = text.find(kPlaceholder); at != std::string::npos;
       at = text.find(kPlaceholder, at + name.size()))
    text.replace(at, kPlaceholder.size(), name);
  return text;
}

}  // namespace

Result<Report> init(const InitArgs& args) {
  fs::path folder = args.folder.lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  const std::string name = folder.filename().string();
  const Target target = HC_TRY(target_named(name).in("the folder's name becomes the peripheral's"));
  if (::mkdir(folder.c_str(), 0755) != 0 && errno == EEXIST)
    return Error(Code::invalid, folder.string() + " is there already; nothing in it was changed")
        .with_hint("choose another name, or remove it yourself");
  else if (!fs::is_directory(folder))
    return Error::from_errno(errno, "making " + folder.string());
  Report report;
  report.json = {{"folder", folder.string()}, {"target", target.name()}, {"files", Json::array()}};
  for (const ScaffoldFile& file : scaffold()) {
    HC_TRY(write_atomically(folder / file.name, with_name(file.content, name), file.executable ? 0755 : 0644));
    report.json["files"].push_back(file.name);
    report.text += (folder / file.name).string() + "\n";
  }
  report.text +=
      "The hooks work as they are, on a pretended device. Next: what to set is in settings.conf, how in device.sh; "
      "then\n  hc-payload check " +
      folder.string() + "\n";
  return report;
}

}  // namespace hc
