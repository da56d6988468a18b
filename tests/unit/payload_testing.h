#pragma once

#include <glib.h>
#include <stdlib.h>

#include <string>
#include <string_view>

#include "engine/base/file.h"
#include "engine/base/handle.h"
#include "engine/payload/manifest.h"

// Commit objects and directories for the tests of engine/payload.
namespace hc::testing_payload {

// A directory of its own that is gone at the end.
class TempDir {
 public:
  TempDir() {
    std::string pattern = fs::temp_directory_path() / "hc-payload-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() { static_cast<void>(remove_tree(path_)); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

inline std::string serialized(GVariant* floating) {
  const Variant value(g_variant_ref_sink(floating));
  return {static_cast<const char*>(g_variant_get_data(value.get())), g_variant_get_size(value.get())};
}

inline GVariant* byte_array(std::string_view bytes) {
  return g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, bytes.data(), bytes.size(), 1);
}

// The bytes of a commit object with `metadata` (an a{sv}), as libostree lays it out.
inline std::string commit_with(GVariant* metadata, std::uint64_t timestamp = 1'700'000'000) {
  const std::string zeros(32, '\x11');
  return serialized(g_variant_new("(@a{sv}@ay@a(say)sst@ay@ay)", metadata, byte_array(""),
                                  g_variant_new_array(G_VARIANT_TYPE("(say)"), nullptr, 0), "subject", "body",
                                  GUINT64_TO_BE(timestamp), byte_array(zeros), byte_array(zeros)));
}

inline Manifest sample_manifest() {
  Manifest manifest;
  manifest.version = Version::parse("2.4.0").value();
  manifest.sequence = 12;
  manifest.built_at = 1'700'000'000;
  return manifest;
}

inline std::string commit_for(const Manifest& manifest) {
  return commit_with(manifest.to_metadata().get(), static_cast<std::uint64_t>(manifest.built_at));
}

}  // namespace hc::testing_payload
