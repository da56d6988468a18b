#pragma once

#include <optional>
#include <string>

#include "engine/cli/verbs.h"
#include "engine/net/local.h"

namespace hc {

// The node's service, where it runs: changes go through its queue then, and look and end as if they were made here.
class ServiceLink {
 public:
  // Nothing where nobody listens: the caller works by itself.
  static std::optional<ServiceLink> find(const Session& session);
  // The same, but an error that says what to do where it is needed.
  static Result<ServiceLink> need(const Session& session);

  // GET or POST. The answer's document; a problem that the service tells becomes the error it was there.
  Result<Json> ask(const std::string& method, const std::string& path, const Json& body = Json::object()) const;

  // Queues the job; its number.
  Result<std::uint64_t> queue(const Json& job) const;

  // Shows how a job goes, and what came of it; the exit status. A stop lets go of the job, it does not end it.
  int follow(std::uint64_t job) const;

 private:
  ServiceLink(const Session& session, fs::path socket) : session_(&session), socket_(std::move(socket)) {}
  int conclude(const Json& job) const;

  const Session* session_;
  fs::path socket_;
};

// Makes a change through the service where it runs: queues the job and follows it, or with --detach only says its
// number. Nothing: the caller works by itself.
std::optional<int> by_service(const Session& session, Json job);

// Who asks: the person behind sudo where there is one.
std::string who();

}  // namespace hc
