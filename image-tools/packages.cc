#include "image-tools/packages.h"

#include "engine/base/handle.h"
#include "engine/base/json.h"
#include "engine/base/text.h"

namespace hc {
namespace {

using Fields = std::map<std::string, std::string>;

void add_package(const Fields& fields, Packages& packages) {
  const auto field = [&](const char* name) {
    const auto found = fields.find(name);
    return found == fields.end() ? std::string() : found->second;
  };
  Package package{field("Package"), field("Architecture"), field("Version"),
                  field("Source"),  field("Maintainer"),   field("Homepage")};
  if (package.name.empty() || package.version.empty() || field("Status") != "install ok installed") return;
  if (package.source.empty()) package.source = package.name;
  package.source = package.source.substr(0, package.source.find(' '));  // "NAME (VERSION)"
  std::string key = package.name + ":" + package.architecture;
  packages.emplace(std::move(key), std::move(package));
}

// SPDX allows letters, digits, `.` and `-`.
std::string spdx_id(const std::string& name) {
  std::string id = "SPDXRef-Package-";
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
    if (plain) {
      id += c;
    } else {
      id += c == '+' ? "-plus-" : "-";
    }
  }
  return id;
}

// As a purl wants it: of the characters in names and versions only these mean something in one.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '+') {
      result += "%2B";
    } else if (c == ':') {
      result += "%3A";
    } else {
      result += c;
    }
  }
  return result;
}

Json package_json(const Package& package) {
  const std::string purl =
      "pkg:deb/debian/" + escaped(package.name) + "@" + escaped(package.version) + "?arch=" + package.architecture;
  return {{"SPDXID", spdx_id(package.name + "." + package.architecture)},
          {"name", package.name},
          {"versionInfo", package.version},
          {"supplier", package.maintainer.empty() ? "NOASSERTION" : "Person: " + package.maintainer},
          {"downloadLocation", "NOASSERTION"},
          {"filesAnalyzed", false},
          {"homepage", package.homepage.empty() ? "NOASSERTION" : package.homepage},
          {"sourceInfo", "built from the Debian source package " + package.source},
          {"licenseConcluded", "NOASSERTION"},
          {"licenseDeclared", "NOASSERTION"},
          {"copyrightText", "NOASSERTION"},
          {"externalRefs",
           Json::array(
               {{{"referenceCategory", "PACKAGE-MANAGER"}, {"referenceType", "purl"}, {"referenceLocator", purl}}})}};
}

}  // namespace

Packages parse_packages(std::string_view status) {
  Packages packages;
  Fields fields;
  for (const std::string& line : split(status, '\n')) {
    if (line.empty()) {
      add_package(fields, packages);
      fields.clear();
      continue;
    }
    const std::size_t colon = line.find(": ");
    if (line.front() != ' ' && colon != std::string::npos) fields[line.substr(0, colon)] = line.substr(colon + 2);
  }
  add_package(fields, packages);
  return packages;
}

std::string spdx_text(const Manifest& manifest, const Packages& packages) {
  const std::string name = manifest.target.name() + "-" + manifest.version.text();
  const std::string root = "SPDXRef-Payload";
  Json list = Json::array();
  list.push_back({{"SPDXID", root},
                  {"name", manifest.target.name()},
                  {"versionInfo", manifest.version.text()},
                  {"downloadLocation", "NOASSERTION"},
                  {"filesAnalyzed", false},
                  {"licenseConcluded", "NOASSERTION"},
                  {"licenseDeclared", "NOASSERTION"},
                  {"copyrightText", "NOASSERTION"}});
  Json relations = Json::array();
  const auto relate = [&](const std::string& from, const char* how, const std::string& to) {
    relations.push_back({{"spdxElementId", from}, {"relationshipType", how}, {"relatedSpdxElement", to}});
  };
  relate("SPDXRef-DOCUMENT", "DESCRIBES", root);
  std::string content;
  for (const auto& [key, package] : packages) {
    list.push_back(package_json(package));
    relate(root, "CONTAINS", list.back()["SPDXID"]);
    content += key + "=" + package.version + "\n";
  }
  // A namespace has to be unique for each document, and here the same for the same content.
  content += name + "\n" + std::to_string(manifest.sequence) + "\n";
  const GText identity(g_compute_checksum_for_string(G_CHECKSUM_SHA256, content.c_str(), -1));
  return dump_json(
      {{"spdxVersion", "SPDX-2.3"},
       {"dataLicense", "CC0-1.0"},
       {"SPDXID", "SPDXRef-DOCUMENT"},
       {"name", name},
       {"documentNamespace", "urn:honeycomb:sbom:" + name + ":" + identity.get()},
       {"creationInfo", {{"created", iso_time(manifest.built_at)}, {"creators", Json::array({"Tool: hc-payload"})}}},
       {"packages", list},
       {"relationships", relations}});
}

}  // namespace hc
