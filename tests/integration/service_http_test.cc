#include <netinet/in.h>
#include <sys/socket.h>

#include "engine/base/text.h"
#include "tests/integration/service_daemon.h"

// honeycombd as its clients see it, the bad ones too.
namespace hc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Daemon : public ServiceDaemon {};

TEST_F(Daemon, QueuesRunsAndTellsHowItGoes) {
  const Json accepted = post("/v1/jobs", camera("1.0"));
  EXPECT_EQ(accepted["job"], 1);
  const std::string events = curl({"-N", "http://localhost/v1/jobs/1/events"}).output;
  EXPECT_THAT(events, HasSubstr("event: begins\n"));
  EXPECT_THAT(events, HasSubstr("event: ended\n"));
  EXPECT_THAT(events, HasSubstr("event: job\n")) << "and the stream ends with the job";
  const Json job = get("/v1/jobs/1");
  EXPECT_EQ(job["state"], "done") << job;
  EXPECT_EQ(job["by"], "root");
  const Json t = get("/v1/history/" + std::to_string(job.value("transaction", 0)));
  EXPECT_EQ(t["outcome"], "confirmed");
  EXPECT_EQ(get("/v1/targets/ptz-camera/slots")["slots"][0]["version"], "1.0");
  EXPECT_EQ(get("/")["versions"]["ptz-camera"], "1.0");

  // Who comes back reads on from where they were.
  const std::size_t place = events.find("id: ", events.size() / 2);
  const std::string id = events.substr(place + 4, events.find('\n', place) - place - 4);
  const std::string rest = curl({"-H", "Last-Event-ID: " + id, "http://localhost/v1/jobs/1/events"}).output;
  EXPECT_THAT(rest, Not(HasSubstr("id: " + id + "\n")));
  EXPECT_LT(rest.size(), events.size());
  EXPECT_THAT(rest, HasSubstr("event: job\n"));
}

TEST_F(Daemon, TwentyAtOnceWhileTheServiceIsKilledTenTimes) {
  const auto ask = [&](const char* version) {
    return start({"/usr/bin/curl", "-sS", "--retry", "100", "--retry-all-errors", "--retry-delay", "1", "--max-time",
                  "20", "-d", camera(version).dump(), "--unix-socket", socket().string(), "http://localhost/v1/jobs"});
  };
  // In the history both may follow each other in any order; else 1.0 after 2.0 is a downgrade.
  ASSERT_EQ(wait_for(ask("1.0")), 0);
  ASSERT_TRUE(all_end());
  std::vector<pid_t> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(ask(i % 2 == 0 ? "1.0" : "2.0"));
  for (int i = 0; i < 10; ++i) {
    clock_.sleep_ms(100 + 70 * i);
    kill_service();
    service_ = start({HC_SERVICE_PROGRAM, "--sysroot", node().string(), "--port", std::to_string(port_)});
  }
  for (const pid_t client : clients) EXPECT_EQ(wait_for(client), 0);
  std::vector<std::uint64_t> ids;
  for (const Job& job : queue().all().value()) ids.push_back(job.id);
  // A client whose answer was lost in a kill has asked again.
  EXPECT_GE(ids.size(), 21U);
  EXPECT_TRUE(comes([&] { return state_of(ids[ids.size() / 2]) == JobState::done; }));
  EXPECT_TRUE(comes([&] { return state_of(ids[ids.size() * 3 / 4]) == JobState::done; }));
  EXPECT_TRUE(all_end());
  expect_each_ended_once(ids);
}

TEST_F(Daemon, QueueUpgradeTakesNamesOfSignedFilesOnly) {
  ASSERT_TRUE(make_dirs(state() / "upgrades"));
  put(fs::relative(state(), dir_) / "upgrades/camera.tar.gz", "bytes");
  put(fs::relative(state(), dir_) / "secret.tar.gz", "bytes");
  const Json unsigned_file = json_of(curl_tcp("/queue-upgrade?filename=camera.tar.gz"));
  EXPECT_EQ(unsigned_file["status"], 403);
  EXPECT_THAT(unsigned_file["title"].get<std::string>(), HasSubstr("not signed"));
  EXPECT_THAT(unsigned_file["detail"].get<std::string>(), HasSubstr("hc-payload"));
  for (const char* name : {"../secret.tar.gz", "%2e%2e%2fsecret.tar.gz", "/etc/passwd", ".", "..", "", "a%00b.tar.gz",
                           "camera.tar.gz%0a", "missing.tar.gz", ".hidden.tar.gz"})
    EXPECT_EQ(code(std::string("/queue-upgrade?filename=") + name), "422") << name;
  fs::create_symlink("../secret.tar.gz", state() / "upgrades/link.tar.gz");
  EXPECT_EQ(code("/queue-upgrade?filename=link.tar.gz"), "422");
  EXPECT_TRUE(queue().all()->empty());
}

TEST_F(Daemon, BrowsersCannotMakeItDoAnything) {
  const std::string path = "/queue-upgrade?filename=camera.tar.gz";
  EXPECT_EQ(code(path), "422") << "a plain client may ask";
  for (const char* header : {"Host: evil.example", "Host: localhost.evil.example", "Origin: http://evil.example",
                             "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: none",
                             "User-Agent: Mozilla/5.0", "Referer: http://evil.example/"})
    EXPECT_EQ(code(path, {"-H", header}), "403") << header;
  EXPECT_EQ(code("/", {"-H", "Host: evil.example"}), "403") << "nor read, by a name that is not ours";
  EXPECT_EQ(code("/", {"-H", "Origin: http://evil.example"}), "403");
  EXPECT_EQ(code("/", {"-H", "User-Agent: Mozilla/5.0", "-H", "Sec-Fetch-Site: none"}), "200") << "a person may look";
}

TEST_F(Daemon, ThePortChangesNothingElseAndStrangersOnlyLook) {
  EXPECT_EQ(code("/v1/jobs", {"-d", "{}"}), "403");
  EXPECT_EQ(code("/v1/jobs"), "200");
  const CommandResult nobody =
      run({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-sS", "-d", "{\"what\":\"1.0\"}",
           "--unix-socket", socket().string(), "http://localhost/v1/jobs"});
  fs::permissions(dir_, fs::perms(0755));
  const CommandResult refused =
      run({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-sS", "-d", "{\"what\":\"1.0\"}",
           "--unix-socket", socket().string(), "http://localhost/v1/jobs"});
  EXPECT_THAT(refused.output, HasSubstr("may look at this node, but not change it")) << refused.errors;
  const CommandResult looks = run({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-sS",
                                   "--unix-socket", socket().string(), "http://localhost/v1/jobs"});
  EXPECT_THAT(looks.output, HasSubstr("\"jobs\""));
  EXPECT_TRUE(queue().all()->empty());
}

TEST_F(Daemon, WrongRequestsAreProblems) {
  EXPECT_EQ(get("/v1/nothing")["status"], 404);
  EXPECT_EQ(get("/v1/jobs/99")["status"], 422);
  EXPECT_EQ(get("/v1/jobs/x")["status"], 422);
  EXPECT_EQ(post("/v1/targets")["status"], 405);
  EXPECT_EQ(json_of(curl({"-d", "{", "http://localhost/v1/jobs"}))["code"], "invalid");
  EXPECT_THAT(post("/v1/jobs", {{"waht", "1.0"}})["title"].get<std::string>(), HasSubstr("waht"));
  EXPECT_EQ(post("/v1/jobs", {{"kind", "explode"}})["status"], 422);
  EXPECT_EQ(post("/v1/jobs", {{"kind", "deploy"}})["status"], 422);
  const CommandResult head = curl({"-D", "-", "-o", "/dev/null", "http://localhost/v1/targets"});
  const std::size_t place = head.output.find("ETag: ");
  ASSERT_NE(place, std::string::npos) << head.output;
  const std::string etag =
      std::string(trimmed(head.output.substr(place + 6, head.output.find('\n', place) - place - 6)));
  EXPECT_EQ(curl({"-H", "If-None-Match: " + etag, "-w", "%{http_code}", "http://localhost/v1/targets"}).output, "304");
}

TEST_F(Daemon, CancelDeferRetryPlanPin) {
  build_camera("3.0", 3, "touch $HC_STATE_DIR/begun; sleep 100");
  post("/v1/jobs", camera("3.0"));
  post("/v1/jobs", camera("1.0"));
  EXPECT_TRUE(comes([&] { return fs::exists(state() / "state/ptz-camera/begun"); }));
  EXPECT_EQ(post("/v1/jobs/2/defer?seconds=100000")["state"], "deferred");
  EXPECT_EQ(post("/v1/jobs/1/cancel")["job"], 1);
  EXPECT_TRUE(comes([&] { return state_of(1) == JobState::cancelled; }));
  EXPECT_EQ(post("/v1/jobs/1/cancel")["status"], 422) << "an end is for ever";
  EXPECT_EQ(state_of(2), JobState::deferred);
  EXPECT_EQ(post("/v1/jobs/2/cancel")["job"], 2);
  EXPECT_TRUE(comes([&] { return state_of(2) == JobState::cancelled; }));
  EXPECT_EQ(post("/v1/jobs/2/retry")["job"], 3);
  EXPECT_TRUE(comes([&] { return state_of(3) == JobState::done; }));
  EXPECT_EQ(get("/v1/plan?what=2.0&target=ptz-camera")["version"], "2.0");
  EXPECT_EQ(get("/v1/plan?what=7.0&target=ptz-camera")["code"], "invalid");
  EXPECT_EQ(post("/v1/targets/ptz-camera/pin?what=1.0")["job"], 4);
  EXPECT_TRUE(comes([&] { return state_of(4) == JobState::done; })) << get("/v1/jobs/4");
  post("/v1/jobs", {{"kind", "health"}});
  EXPECT_TRUE(comes([&] { return state_of(5) == JobState::done; }));
  EXPECT_EQ(get("/v1/health")["health"]["healthy"], true) << get("/v1/health");
}

TEST_F(Daemon, MetricsAreWhatPrometheusReads) {
  post("/v1/jobs", camera("1.0"));
  EXPECT_TRUE(all_end());
  const CommandResult metrics = curl({"http://localhost/metrics"});
  put("metrics.txt", metrics.output);
  const CommandResult parsed =
      run({"python3", "-c",
           "from prometheus_client.parser import text_string_to_metric_families as parse\n"
           "found = {f.name: f for f in parse(open('metrics.txt').read())}\n"
           "print(sorted(found))\n"
           "print([s.value for s in found['honeycomb_transactions'].samples])\n"
           "print([s.value for s in found['honeycomb_slot_info'].samples if s.labels['version'] == '1.0'])\n"});
  EXPECT_EQ(parsed.status, 0) << parsed.errors << metrics.output;
  EXPECT_THAT(parsed.output, HasSubstr("'honeycomb_jobs', "));
  EXPECT_THAT(parsed.output, HasSubstr("[1.0, 1.0]")) << "the system's slot and the camera's";
}

// As systemd runs it: nothing but the queue can be written, and root has no capability.
TEST_F(Daemon, NeedsNothingButItsQueue) {
  post("/v1/jobs", camera("1.0"));
  EXPECT_TRUE(all_end());
  kill_service();
  const std::string inner = (dir_ / "inner.sock").string();
  const std::string script =
      "set -e; n=" + node().string() + "; q=" + queue().directory().string() +
      "; mount --bind $n $n; mount --bind $q $q; mount -o remount,bind,ro $n; "
      "! touch $n/x 2>/dev/null; exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs " +
      HC_SERVICE_PROGRAM + " --sysroot $n --port 0 --socket " + inner;
  service_ = start({"/usr/bin/unshare", "-m", "/bin/sh", "-c", script});
  const auto ask = [&](const std::string& path) {
    return run({"curl", "-sS", "--unix-socket", inner, "-w", "%{http_code}", "http://localhost" + path});
  };
  ASSERT_TRUE(comes([&] { return ask("/").output.ends_with("200"); })) << ask("/").output;
  for (const char* path : {"/metrics", "/v1/jobs", "/v1/jobs/1", "/v1/targets", "/v1/targets/os/slots", "/v1/history",
                           "/v1/history/1", "/v1/health", "/v1/plan?what=2.0&target=ptz-camera"})
    EXPECT_TRUE(ask(path).output.ends_with("200")) << path << ask(path).output;
  const CommandResult queued = run({"curl", "-sS", "-d", R"({"kind": "gc"})", "--unix-socket", inner, "-w",
                                    "%{http_code}", "http://localhost/v1/jobs"});
  EXPECT_THAT(queued.output, HasSubstr("202"));
}

// The resident memory of the service, in kB.
long memory_of(pid_t pid) {
  const std::string status = read_file("/proc/" + std::to_string(pid) + "/status").value();
  return std::strtol(status.c_str() + status.find("VmRSS:") + 6, nullptr, 10);
}

class Flooded : public Daemon {
 protected:
  UniqueFd connection() const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{0, 200'000};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
    return fd;
  }
  // True when the other side has closed; waits for it.
  static bool closed(int fd) {
    char byte = 0;
    return ::recv(fd, &byte, 1, 0) <= 0;
  }
  static void send(int fd, std::string_view text) {
    static_cast<void>(::send(fd, text.data(), text.size(), MSG_NOSIGNAL));
  }
};

TEST_F(Flooded, SlowClientsAreCutAndRootIsServedMeanwhile) {
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(connection());
    send(slow.back().get(), "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
  }
  EXPECT_EQ(get("/")["model"].is_string(), true) << "the unix socket has room of its own";
  for (const UniqueFd& fd : slow) EXPECT_TRUE(closed(fd.get()));
  EXPECT_EQ(code("/"), "200");
}

TEST_F(Flooded, JunkAndHugeBodies) {
  const long before = memory_of(service_);
  for (int i = 0; i < 10'000; ++i) {
    const UniqueFd fd = connection();
    if (!fd) continue;
    send(fd.get(), i % 3 == 0 ? "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" : "BREW /pot HTCPCP/1.0\r\n\r\n");
  }
  EXPECT_LT(memory_of(service_) - before, 64 << 10) << "in kB, after the junk";
  UniqueFd endless = connection();
  const std::string header(1 << 20, 'x');
  for (int i = 0; i < 64; ++i) send(endless.get(), i == 0 ? "GET / HTTP/1.1\r\nX-Long: " : header);
  EXPECT_LT(memory_of(service_) - before, 64 << 10) << "in kB, after a header without end";
  const CommandResult told = run({"sh", "-c",
                                  "head -c 1G /dev/zero | curl -sS -o /dev/null -w '%{http_code}' --max-time "
                                  "25 -H 'Content-Length: 1073741824' -H 'Expect:' -T - -X POST " +
                                      url("/queue-upgrade")});
  const CommandResult chunked =
      run({"sh", "-c",
           "head -c 1G /dev/zero | curl -sS -o /dev/null --max-time 25 -H 'Expect:' -T - -X POST " +
               url("/queue-upgrade")});
  EXPECT_NE(chunked.status, 0) << "is cut";
  EXPECT_THAT(told.output, ::testing::AnyOf(HasSubstr("413"), HasSubstr("000")));
  EXPECT_TRUE(comes([&] { return code("/") == "200"; }));
  EXPECT_EQ(get("/")["model"].is_string(), true);
  EXPECT_LT(memory_of(service_) - before, 64 << 10) << "in kB";
}

TEST(OpenApi, TheFileIsWhatTheRoutesSay) {
  const auto said = run_command({HC_SERVICE_PROGRAM, "--openapi"});
  ASSERT_TRUE(said);
  EXPECT_EQ(said->output, read_file(HC_OPENAPI_FILE).value())
      << "make it anew: honeycombd --openapi > docs/openapi.json";
}

}  // namespace
}  // namespace hc
