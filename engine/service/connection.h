#pragma once

#include <libsoup/soup.h>

#include <functional>
#include <vector>

#include "engine/base/handle.h"
#include "engine/service/guard.h"

namespace hc {

// One client's connection, from its accept to its end. One request each: what is not there in time is cut.
class Connection {
 public:
  static constexpr unsigned kRequestMs = 10'000;  // for the whole request to arrive
  static constexpr unsigned kAnswerMs = 60'000;   // for a piece of the answer to be taken

  Connection(GSocketConnection* stream, Caller caller);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const Caller& caller() const { return caller_; }
  // Cuts the connection in `ms`, unless this is called again before; 0: never.
  void limit(unsigned ms);
  void cut() const;

  // The connection that a message came on. REQUIRES: a Door accepted it.
  static Connection& of(SoupServerMessage* message);

 private:
  GRef<GSocket> socket_;
  Caller caller_;
  guint timer_ = 0;
};

// Accepts connections on sockets that listen, and hands them to libsoup; no more at a time than a bound for each kind,
// so that whoever floods the TCP port does not keep root from the unix socket.
class Door {
 public:
  static constexpr unsigned kMostOpen = 64;

  explicit Door(SoupServer* server);
  ~Door();
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  // Takes over a descriptor that listens: a unix socket, or TCP on this machine only.
  Status add(int fd);
  Status add_unix(const std::string& path);
  Status add_tcp(unsigned port);

 private:
  struct Listener;
  Status listen(GRef<GSocket> socket);
  static gboolean on_incoming(GSocket* socket, GIOCondition condition, gpointer listener);
  bool accept(Listener& listener);

  GRef<SoupServer> server_;
  std::vector<std::unique_ptr<Listener>> listeners_;
};

}  // namespace hc
