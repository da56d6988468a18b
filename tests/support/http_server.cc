#include "tests/support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <optional>

namespace hc {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

int listen_on_loopback(std::uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, 64) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    std::abort();
  port = ntohs(address.sin_port);
  return fd;
}

std::string receive_until(int fd, const std::function<bool(const std::string&)>& enough,
                          const std::atomic<bool>& ending) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (!ending && !enough(text)) {
    pollfd poll{fd, POLLIN, 0};
    if (::poll(&poll, 1, 50) <= 0) continue;
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) return {};
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

std::optional<HttpServer::Request> receive(int fd, const std::atomic<bool>& ending) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  HttpServer::Request request;
  std::size_t length = 0;
  const auto parse_head = [&](const std::string& text) {
    std::size_t start = 0;
    for (std::size_t end; (end = text.find("\r\n", start)) != start; start = end + 2) {
      const std::string line = text.substr(start, end - start);
      if (const std::size_t colon = line.find(": "); start != 0 && colon != std::string::npos)
        request.headers[lower(line.substr(0, colon))] = line.substr(colon + 2);
      if (start != 0) continue;
      request.method = line.substr(0, line.find(' '));
      request.target = line.substr(request.method.size() + 1);
      request.target.resize(std::min(request.target.find(' '), request.target.size()));
      request.path = request.target.substr(0, request.target.find('?'));
    }
    length = std::strtoul(request.header("content-length").c_str(), nullptr, 10);
  };
  const std::string text = receive_until(
      fd,
      [&](const std::string& so_far) {
        const std::size_t end = so_far.find(kEnd);
        if (end == std::string::npos) return false;
        if (request.method.empty()) parse_head(so_far);
        return so_far.size() >= end + kEnd.size() + length;
      },
      ending);
  if (request.method.empty() || text.empty()) return std::nullopt;
  request.body = text.substr(text.find(kEnd) + kEnd.size());
  return request;
}

const char* reason(int status) {
  return status < 300 ? "Fine" : status < 400 ? "Elsewhere" : status < 500 ? "Your Fault" : "Our Fault";
}

}  // namespace

std::string HttpServer::Request::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

bool HttpServer::Reply::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (ending_) return false;
    pollfd poll{fd_, POLLOUT, 0};
    if (::poll(&poll, 1, 50) == 0) continue;
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (sent < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool HttpServer::Reply::head(int status, const std::vector<std::string>& headers) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " " + reason(status) + "\r\nConnection: close\r\n";
  for (const std::string& header : headers) text += header + "\r\n";
  return send(text + "\r\n");
}

bool HttpServer::Reply::answer(int status, std::string_view body, const std::vector<std::string>& headers) {
  std::vector<std::string> all = headers;
  all.push_back("Content-Length: " + std::to_string(body.size()));
  return head(status, all) && send(body);
}

bool HttpServer::Reply::wait(std::int64_t ms) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  while (!ending_ && std::chrono::steady_clock::now() < until) {
    pollfd poll{fd_, POLLIN, 0};
    std::array<char, 256> rest{};
    // A client says nothing after its request; readable means that it has gone.
    if (::poll(&poll, 1, 20) == 1 && ::recv(fd_, rest.data(), rest.size(), 0) <= 0) return false;
  }
  return !ending_;
}

void HttpServer::Reply::hang() {
  while (wait(1000)) {
  }
}

HttpServer::HttpServer() {
  listener_ = listen_on_loopback(port_);
  acceptor_ = std::thread([this] { accept_loop(); });
}

HttpServer::~HttpServer() {
  ending_ = true;
  acceptor_.join();
  for (std::thread& talk : talks_) talk.join();
  ::close(listener_);
}

std::string HttpServer::url(const std::string& path) const {
  return "http://127.0.0.1:" + std::to_string(port_) + path;
}

void HttpServer::on(const std::string& path, Handler handler) {
  const std::lock_guard lock(mutex_);
  handlers_[path] = std::move(handler);
}

void HttpServer::serve(const std::string& path, std::string body, std::string etag) {
  on(path, [body = std::move(body), etag = std::move(etag)](const Request& request, Reply& reply) {
    std::vector<std::string> headers = {"Content-Type: application/octet-stream", "Accept-Ranges: bytes"};
    if (!etag.empty()) headers.push_back("ETag: " + etag);
    const std::string range = request.header("range");
    const std::string if_range = request.header("if-range");
    if (range.rfind("bytes=", 0) != 0 || (!if_range.empty() && if_range != etag)) {
      reply.answer(200, body, headers);
      return;
    }
    const std::size_t start = std::strtoul(range.c_str() + 6, nullptr, 10);
    const std::string size = std::to_string(body.size());
    if (start >= body.size()) {
      headers.push_back("Content-Range: bytes */" + size);
      reply.answer(416, "", headers);
      return;
    }
    headers.push_back("Content-Range: bytes " + std::to_string(start) + "-" + std::to_string(body.size() - 1) + "/" +
                      size);
    reply.answer(206, body.substr(start), headers);
  });
}

std::vector<HttpServer::Request> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t HttpServer::count(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(requests_.begin(), requests_.end(), [&](const Request& r) { return r.path == path; }));
}

void HttpServer::accept_loop() {
  while (!ending_) {
    pollfd poll{listener_, POLLIN, 0};
    if (::poll(&poll, 1, 20) <= 0) continue;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) talks_.emplace_back([this, fd] { talk(fd); });
  }
}

void HttpServer::talk(int fd) {
  if (const auto request = receive(fd, ending_)) {
    Reply reply(fd, ending_);
    handler_for (*request)(*request, reply);
  }
  ::shutdown(fd, SHUT_WR);
  // Closing at once, with bytes unread, would reset the connection and take back what was sent.
  std::array<char, 256> rest{};
  for (int i = 0; i < 50 && !ending_; ++i) {
    pollfd poll{fd, POLLIN, 0};
    if (::poll(&poll, 1, 20) == 1 && ::recv(fd, rest.data(), rest.size(), 0) <= 0) break;
  }
  ::close(fd);
}

HttpServer::Handler HttpServer::handler_for(const Request& request) {
  const std::lock_guard lock(mutex_);
  requests_.push_back(request);
  for (const std::string& path : {request.path, std::string("*")}) {
    if (const auto found = handlers_.find(path); found != handlers_.end()) return found->second;
  }
  return [](const Request&, Reply& reply) { reply.answer(404, "nothing here\n"); };
}

std::uint16_t closed_port() {
  std::uint16_t port = 0;
  ::close(listen_on_loopback(port));
  return port;
}

}  // namespace hc
