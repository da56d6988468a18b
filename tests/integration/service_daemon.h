#pragma once

#include "tests/integration/service_node.h"

namespace hc {

// honeycombd on a node in a folder, and curl as its client.
class ServiceDaemon : public ServiceNode {
 protected:
  void SetUp() override {
    // What AddressSanitizer keeps back of freed memory would hide what the service itself holds.
    ::setenv("ASAN_OPTIONS", "quarantine_size_mb=1", 0);
    ServiceNode::SetUp();
    start_service();
  }

  fs::path socket() const { return node() / "run/honeycomb/honeycombd.sock"; }
  void start_service() {
    service_ = start({HC_SERVICE_PROGRAM, "--sysroot", node().string(), "--port", std::to_string(port_)});
    ASSERT_TRUE(comes([&] { return curl({"http://localhost/"}).status == 0; }));
  }
  void kill_service() { end(service_, SIGKILL); }

  CommandResult curl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"curl", "-sS", "--max-time", "60", "--unix-socket", socket().string()});
    return run(std::move(arguments));
  }
  CommandResult curl_tcp(const std::string& path, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"curl", "-sS", "--max-time", "60", url(path)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(std::move(arguments));
  }
  std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
  // The status code of an answer over TCP.
  std::string code(const std::string& path, std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"-o", "/dev/null", "-w", "%{http_code}"});
    return curl_tcp(path, std::move(more)).output;
  }
  Json get(const std::string& path) const { return json_of(curl({"http://localhost" + path})); }
  Json post(const std::string& path, const Json& body = Json::object()) const {
    return json_of(curl({"-d", body.dump(), "http://localhost" + path}));
  }
  static Json json_of(const CommandResult& result) {
    const auto json = parse_json(result.output);
    if (json) return *json;
    ADD_FAILURE() << json.error().text() << "\n" << result.output << result.errors;
    return Json::object();
  }
  static Json camera(const std::string& version) {
    return {{"kind", "deploy"}, {"target", kCamera}, {"what", version}, {"again", true}};
  }
  ::testing::AssertionResult all_end() {
    return comes([&] {
      const auto jobs = queue().all().value();
      return std::all_of(jobs.begin(), jobs.end(), [](const Job& job) { return ended(job.state); });
    });
  }

  unsigned port_ = 20'000 + static_cast<unsigned>(::getpid()) % 20'000;
  pid_t service_ = -1;
};

}  // namespace hc
