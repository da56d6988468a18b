#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/file.h"

namespace hc {

// A real HTTP server on 127.0.0.1 that serves a directory, and misbehaves where a test asks for it.
class FileServer {
 public:
  struct Answer {
    int status = 200;
    std::string type = "application/octet-stream";
    std::string body;
    std::size_t cut_after = std::string::npos;  // bytes of the body after which the connection breaks
    bool silent = false;                        // accept, never answer
  };
  // Changes the answer for one path; gets what the directory holds.
  using Mischief = std::function<void(const std::string& path, Answer& answer)>;

  explicit FileServer(fs::path root, Mischief mischief = nullptr)
      : root_(std::move(root)), mischief_(std::move(mischief)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }

  ~FileServer() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& worker : workers_) worker.join();
    ::close(listener_);
  }
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void set_mischief(Mischief mischief) {
    const std::lock_guard lock(mutex_);
    mischief_ = std::move(mischief);
  }
  // Paths asked for so far, in order.
  std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void accept_all() {
    while (!stopping_) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) continue;
      const std::lock_guard lock(mutex_);
      open_.push_back(fd);
      workers_.emplace_back([this, fd] { serve(fd); });
    }
  }

  void serve(int fd) {
    std::string request;
    char buffer[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t size = ::recv(fd, buffer, sizeof buffer, 0);
      if (size <= 0) break;
      request.append(buffer, static_cast<std::size_t>(size));
    }
    if (request.find("\r\n\r\n") != std::string::npos) answer(fd, request);
    const std::lock_guard lock(mutex_);
    std::erase(open_, fd);
    ::close(fd);
  }

  void answer(int fd, const std::string& request) {
    const std::size_t start = request.find(' ') + 1;
    const std::string path = request.substr(start, request.find(' ', start) - start);
    Mischief mischief;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(path);
      mischief = mischief_;
    }
    Answer answer;
    const Result<std::string> body = read_file(root_.string() + path);
    if (body) answer.body = *body;
    if (!body) answer.status = 404;
    if (mischief) mischief(path, answer);
    if (answer.silent) {
      char byte = 0;
      while (::recv(fd, &byte, 1, 0) > 0) continue;
      return;
    }
    std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " x\r\nContent-Type: " + answer.type +
                       "\r\nContent-Length: " + std::to_string(answer.body.size()) + "\r\nConnection: close\r\n\r\n" +
                       answer.body.substr(0, answer.cut_after);
    for (std::size_t sent = 0; sent < text.size();) {
      const ssize_t size = ::send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (size <= 0) return;
      sent += static_cast<std::size_t>(size);
    }
  }

  const fs::path root_;
  Mischief mischief_;
  int listener_;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::vector<int> open_;
  std::vector<std::thread> workers_;
  std::thread acceptor_;
};

}  // namespace hc
