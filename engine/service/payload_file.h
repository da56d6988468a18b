#pragma once

#include <string>

#include "engine/base/file.h"

namespace hc {

// A payload that lies in the node's upgrades directory, as in the first Honeycomb: one name, no path.
struct PayloadFile {
  enum class Form { archive };  // the original .tar.gz, with a detached signature beside it
  fs::path path;
  Form form = Form::archive;

  // Fails with Code::invalid where `name` is no plain name, where there is no such file or where its form is not known;
  // with Code::untrusted where the signature is missing, and says how to sign.
  static Result<PayloadFile> find(const fs::path& upgrades, const std::string& name);
};

}  // namespace hc
