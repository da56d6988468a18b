#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace hc {

// A real HTTP server on 127.0.0.1 that does exactly what a test tells it to, misbehaviour included. One request for
// each connection; any number at the same time. On destruction every open connection is cut.
class HttpServer {
 public:
  struct Request {
    std::string method;
    std::string path;                            // without the query
    std::string target;                          // as it was sent
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;

    std::string header(const std::string& name) const;
  };

  // What a handler answers with. Everything returns false once the client has gone or the server is ending.
  class Reply {
   public:
    // Raw bytes.
    bool send(std::string_view bytes);
    // "HTTP/1.1 <status> ..." and the given header lines, e.g. "Content-Length: 3".
    bool head(int status, const std::vector<std::string>& headers = {});
    // A whole answer with its Content-Length.
    bool answer(int status, std::string_view body, const std::vector<std::string>& headers = {});
    bool wait(std::int64_t ms);
    // Keeps the connection open without a byte until the client leaves it.
    void hang();

   private:
    friend class HttpServer;
    Reply(int fd, const std::atomic<bool>& ending) : fd_(fd), ending_(ending) {}
    int fd_;
    const std::atomic<bool>& ending_;
  };
  using Handler = std::function<void(const Request&, Reply&)>;

  HttpServer();
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const { return port_; }
  // "http://127.0.0.1:PORT" and `path`.
  std::string url(const std::string& path = "/") const;

  // Answers `path` by `handler`; "*" stands for every path without one of its own. Anything else is 404. May be changed
  // while it serves.
  void on(const std::string& path, Handler handler);
  // Answers `path` with `body`; knows ranges (`Range`, `If-Range`) and gives `etag` where it is not empty.
  void serve(const std::string& path, std::string body, std::string etag = "");

  // Every request so far, in order.
  std::vector<Request> requests() const;
  std::size_t count(const std::string& path) const;

 private:
  void accept_loop();
  void talk(int fd);
  Handler handler_for(const Request& request);

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_ = false;
  mutable std::mutex mutex_;
  std::map<std::string, Handler> handlers_;
  std::vector<Request> requests_;
  std::vector<std::thread> talks_;
  std::thread acceptor_;
};

// A port of 127.0.0.1 on which nobody listens.
std::uint16_t closed_port();

}  // namespace hc
