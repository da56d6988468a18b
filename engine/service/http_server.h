#pragma once

#include <libsoup/soup.h>

#include <list>
#include <memory>

#include "engine/service/api.h"
#include "engine/service/connection.h"
#include "engine/service/stream.h"

namespace hc {

// Api over HTTP. The main loop only moves bytes; what handlers do, which may wait for a disk, is done by two threads.
class HttpServer {
 public:
  static constexpr std::size_t kMostBody = 64 << 10;
  static constexpr unsigned kMostPending = 128;  // requests that wait for a thread
  static constexpr unsigned kMostStreams = 16;   // clients that follow a job

  explicit HttpServer(const Api& api);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  Door& door() { return door_; }
  // Something happened in the queue's directory: tells those who follow a job.
  void tell_streams();

 private:
  struct Work;

  static void on_headers(SoupServer*, SoupServerMessage*, const char*, GHashTable*, gpointer self);
  static void on_request(SoupServer*, SoupServerMessage*, const char* path, GHashTable* query, gpointer self);
  static void on_thread(gpointer work, gpointer self);
  static gboolean on_answered(gpointer work);

  bool room(const Caller& caller);
  void take(SoupServerMessage* message, const char* path, GHashTable* query);
  void reply(SoupServerMessage* message, const Answer& answer);
  void follow(SoupServerMessage* message, std::uint64_t job);

  const Api& api_;
  GRef<SoupServer> server_;
  Door door_;
  GThreadPool* threads_ = nullptr;
  unsigned pending_ = 0;
  Bucket requests_{100, 200};  // of those who are not root
  std::list<std::unique_ptr<JobStream>> streams_;
};

}  // namespace hc
