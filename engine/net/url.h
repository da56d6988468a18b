#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "engine/base/file.h"
#include "engine/base/result.h"

// Inside of engine/net: what is known about an address before anything is sent.
namespace hc {

struct Url {
  std::string text;    // what is requested: no user, no password, no fragment
  std::string scheme;  // "http", "https" or "file"
  std::string host;    // for texts: host, and port where it is given
  std::string user;
  std::string password;

  // Fails with Code::invalid on what is no URL, and on any other scheme.
  static Result<Url> parse(const std::string& text);
  // Where `location` leads, seen from here: never from https to http, never to a file. Its user and password are ours
  // only as long as it stays on this very server; those that it brings itself are not used.
  Result<Url> follow(const std::string& location) const;
  // For scheme "file".
  Result<fs::path> path() const;
  // For texts: without what is behind `?`, which may be a signed permit.
  std::string shown() const;
};

}  // namespace hc
