#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "engine/base/process.h"
#include "hooks/runner.h"
#include "tests/integration/hook_in_folder.h"

// Whom a hook with a narrowed network can talk to: real sockets, in a network of the test's own with several addresses.
namespace hc {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

constexpr const char* kCamera = "198.51.100.1";
constexpr const char* kCamera6 = "2001:db8::1";
constexpr const char* kOther = "198.51.100.2";
constexpr const char* kOther6 = "2001:db8::2";

class HookNetworkTest : public HookInFolder {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "narrowing a hook needs root";
    HookInFolder::SetUp();
    // For this process only, as long as it lives: gtest_discover_tests() runs each test in one of its own.
    ASSERT_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_TRUE(write_atomically(directory_ / "hosts", "127.0.0.1 localhost\n"));
    ASSERT_EQ(mount((directory_ / "hosts").c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr), 0);
    // A name server that says at once that it is none.
    ASSERT_TRUE(write_atomically(directory_ / "resolv.conf", "nameserver 127.0.0.1\n"));
    ASSERT_EQ(mount((directory_ / "resolv.conf").c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(run_command({"ip", "link", "set", "lo", "up"})->status, 0);
    for (const char* address : {kCamera, kCamera6, kOther, kOther6}) {
      ASSERT_EQ(run_command({"ip", "address", "add", address, "dev", "lo"})->status, 0);
    }
    ASSERT_EQ(run_command({"ip", "route", "add", "default", "dev", "lo"})->status, 0);
    listener_ = UniqueFd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    socklen_t size = sizeof any;
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&any), size), 0);
    ASSERT_EQ(listen(listener_.get(), 100), 0);
    ASSERT_EQ(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&any), &size), 0);
    port_ = std::to_string(ntohs(any.sin6_port));
    std::ofstream(payload_ / "reach.py") << kReach;
  }
  void TearDown() override {
    if (directory_.empty()) return;
    for (const char* bound : {"/etc/hosts", "/etc/resolv.conf"}) umount2(bound, MNT_DETACH);
    HookInFolder::TearDown();
  }

  // Tells of each address whether a connection to it was made or what it failed with, at once.
  static constexpr const char* kReach = R"END(
import errno, os, socket, sys
for host in sys.argv[1:]:
    try:
        socket.create_connection((host, int(os.environ['PORT'])), 20).close()
        print(host, 'reached')
    except OSError as error:
        print(host, errno.errorcode.get(error.errno, error))
)END";

  HookCall reaching(const std::string& hosts, HookNetwork network, std::vector<std::string> allowed = {}) {
    HookCall call = hook("python3 reach.py " + hosts);
    call.environment["PORT"] = port_;
    call.network = network;
    call.hosts = std::move(allowed);
    return call;
  }

  UniqueFd listener_;
  std::string port_;
};

TEST_F(HookNetworkTest, OpenReachesAll) {
  const HookResult result = run(reaching("127.0.0.1 ::1 198.51.100.1 2001:db8::2", HookNetwork::open));
  EXPECT_EQ(result.output, "127.0.0.1 reached\n::1 reached\n198.51.100.1 reached\n2001:db8::2 reached\n")
      << result.reason;
}

TEST_F(HookNetworkTest, NoneReachesOnlyItself) {
  HookCall call = reaching("127.0.0.1 ::1 198.51.100.1 2001:db8::2", HookNetwork::none);
  const HookResult result = run(call);
  EXPECT_EQ(result.output,
            "127.0.0.1 ECONNREFUSED\n::1 ECONNREFUSED\n198.51.100.1 ENETUNREACH\n2001:db8::2 ENETUNREACH\n")
      << result.reason;
}

TEST_F(HookNetworkTest, LoopbackIsTheMachinesOwn) {
  const HookResult result =
      run(reaching("127.0.0.1 127.9.9.9 ::1 ::ffff:127.0.0.1 localhost 198.51.100.1 2001:db8::2 ::ffff:198.51.100.1",
                   HookNetwork::loopback));
  EXPECT_EQ(result.output,
            "127.0.0.1 reached\n127.9.9.9 reached\n::1 reached\n::ffff:127.0.0.1 reached\nlocalhost reached\n"
            "198.51.100.1 EPERM\n2001:db8::2 EPERM\n::ffff:198.51.100.1 EPERM\n")
      << result.reason;
}

TEST_F(HookNetworkTest, ListedHostsAndNoOther) {
  ASSERT_TRUE(write_atomically(directory_ / "names", "198.51.100.1 camera.test\n2001:db8::1 camera.test\n"));
  ASSERT_EQ(mount((directory_ / "names").c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr), 0);
  HookCall call =
      reaching("camera.test 198.51.100.1 2001:db8::1 ::ffff:198.51.100.1 198.51.100.2 2001:db8::2 127.0.0.1 ::1",
               HookNetwork::hosts, {"camera.test", "nowhere.invalid"});
  HookResult result = run(call);
  EXPECT_EQ(result.output,
            "camera.test reached\n198.51.100.1 reached\n2001:db8::1 reached\n::ffff:198.51.100.1 reached\n"
            "198.51.100.2 EPERM\n2001:db8::2 EPERM\n127.0.0.1 EPERM\n::1 EPERM\n")
      << result.reason;
  ASSERT_EQ(result.insight.size(), 1U);
  EXPECT_EQ(result.insight[0].text, "the hook cannot reach `nowhere.invalid`: it has no address");

  result =
      run(reaching("198.51.100.1 198.51.100.2 2001:db8::2; cat /etc/hosts", HookNetwork::hosts, {kOther, kOther6}));
  EXPECT_EQ(result.output,
            "198.51.100.1 EPERM\n198.51.100.2 reached\n2001:db8::2 reached\n127.0.0.1 localhost\n::1 localhost\n");
  EXPECT_EQ(run(reaching("198.51.100.1 ::1", HookNetwork::hosts)).output, "198.51.100.1 EPERM\n::1 EPERM\n");
  umount2("/etc/hosts", MNT_DETACH);
}

TEST_F(HookNetworkTest, NamesAreLookedUpBeforeEachAttempt) {
  HookCall call =
      reaching("camera.test || exit 1; echo first; [ $HC_ATTEMPT = 2 ]", HookNetwork::hosts, {"camera.test"});
  call.retries = 1;
  HookListener listener;
  listener.line = [this](std::string_view line) {
    if (line == "first") std::ofstream(directory_ / "hosts", std::ios::app) << "198.51.100.1 camera.test\n";
  };
  ProcessHookRunner runner({sockets_, 200});
  const HookResult result = runner.run(call, listener, stop_);
  EXPECT_TRUE(result.passed()) << result.output;
  EXPECT_THAT(result.output, HasSubstr("--- attempt 2 ---\ncamera.test reached\n"));
}

// With every kind of socket, from root and another user, from children that hide.
TEST_F(HookNetworkTest, NoWayAround) {
  const std::string script = R"END(
cat > $HC_STATE_DIR/try.py <<'PY'
import ctypes, errno, os, socket
def attempt(what, act):
    try:
        act()
        print('WAY OUT:', what)
    except OSError as error:
        print(what, errno.errorcode[error.errno])
def send(family, kind, to):
    s = socket.socket(family, kind)
    s.settimeout(20)
    s.sendto(b'x', (to, int(os.environ['PORT'])))
attempt('udp', lambda: send(socket.AF_INET, socket.SOCK_DGRAM, '198.51.100.2'))
attempt('udp6', lambda: send(socket.AF_INET6, socket.SOCK_DGRAM, '2001:db8::2'))
attempt('mapped', lambda: send(socket.AF_INET6, socket.SOCK_DGRAM, '::ffff:198.51.100.2'))
attempt('multicast', lambda: send(socket.AF_INET, socket.SOCK_DGRAM, '224.0.0.251'))
attempt('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3))
attempt('vsock', lambda: socket.socket(40, socket.SOCK_STREAM))
attempt('can', lambda: socket.socket(socket.AF_CAN, socket.SOCK_RAW, 1))
attempt('bluetooth', lambda: socket.socket(31, socket.SOCK_RAW, 1))
def fast_open():
    socket.socket(socket.AF_INET).sendto(b'x', socket.MSG_FASTOPEN, ('198.51.100.2', int(os.environ['PORT'])))
attempt('fast open', fast_open)
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if libc.syscall(*arguments) < 0: raise OSError(ctypes.get_errno(), '')
attempt('io_uring', lambda: call(425, 8, ctypes.create_string_buffer(120)))
PY
hidden() { python3 - "$@" <<'PY'
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: os.execvp(sys.argv[1], sys.argv[1:])
    os._exit(0)
os.wait()
PY
}
hidden sh -c "python3 $HC_STATE_DIR/try.py > $HC_STATE_DIR/out 2>&1; : > $HC_STATE_DIR/done"
while ! [ -e $HC_STATE_DIR/done ]; do sleep 0.02; done
cat $HC_STATE_DIR/out
setpriv --reuid 65534 --clear-groups python3 reach.py 198.51.100.1 198.51.100.2
[ -e /dev/net/tun ] && echo 'WAY OUT: tun'
exit 0
)END";
  HookCall call = hook(script);
  call.environment["PORT"] = port_;
  call.network = HookNetwork::hosts;
  call.hosts = {kCamera};
  ASSERT_EQ(chmod(directory_.c_str(), 0755), 0);
  const HookResult result = run(call);
  EXPECT_TRUE(result.passed()) << result.reason;
  EXPECT_EQ(result.output,
            "udp EPERM\nudp6 EPERM\nmapped EPERM\nmulticast EPERM\nraw EPERM\npacket EAFNOSUPPORT\nvsock EAFNOSUPPORT\n"
            "can EAFNOSUPPORT\nbluetooth EAFNOSUPPORT\nfast open EPERM\nio_uring ENOSYS\n"
            "198.51.100.1 reached\n198.51.100.2 EPERM\n");
}

TEST_F(HookNetworkTest, HearsNobodyElse) {
  HookCall call = hook(
      "exec python3 -c \"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 0))\n"
      "print('port', s.getsockname()[1], flush=True)\n"
      "print(sorted({s.recvfrom(9)[1][0] for i in range(5)}))\"");
  call.network = HookNetwork::hosts;
  call.hosts = {kCamera};
  std::atomic<bool> over = false;
  std::thread talker;
  HookListener listener;
  listener.line = [&](std::string_view line) {
    if (!line.starts_with("port ")) return;
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(std::string(line.substr(5)))));
    inet_pton(AF_INET, kCamera, &to.sin_addr);
    talker = std::thread([&over, to] {
      while (!over) {
        for (const char* from : {kOther, kCamera}) {
          sockaddr_in own{};
          own.sin_family = AF_INET;
          inet_pton(AF_INET, from, &own.sin_addr);
          const UniqueFd sender(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
          bind(sender.get(), reinterpret_cast<sockaddr*>(&own), sizeof own);
          sendto(sender.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
        }
        usleep(5000);
      }
    });
  };
  ProcessHookRunner runner({sockets_, 200});
  const HookResult result = runner.run(call, listener, stop_);
  over = true;
  if (talker.joinable()) talker.join();
  EXPECT_THAT(result.output, HasSubstr("\n['198.51.100.1']\n")) << result.reason;
}

TEST_F(HookNetworkTest, WithoutACgroupItDoesNotRun) {
  HookCall call = hook("exit 0");
  call.network = HookNetwork::loopback;
  ASSERT_TRUE(run(call).passed());
  ASSERT_EQ(mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, nullptr), 0);
  HookResult result = run(call);
  EXPECT_EQ(result.end, HookEnd::could_not_run);
  EXPECT_THAT(result.reason, HasSubstr("its network cannot be narrowed: there is no cgroup of version 2"));
  call.network = HookNetwork::none;  // needs none
  EXPECT_TRUE(run(call).passed());
  ASSERT_EQ(umount("/sys/fs/cgroup"), 0);
}

TEST_F(HookNetworkTest, TooManyAddressesAreRefused) {
  HookCall call = hook("exit 0");
  call.network = HookNetwork::hosts;
  for (int i = 0; i < 256; ++i) call.hosts.push_back("2001:db8::" + std::to_string(i));
  EXPECT_TRUE(run(call).passed());
  call.hosts.emplace_back(kCamera);
  EXPECT_THAT(run(call).reason, HasSubstr("at most 256"));
}

}  // namespace
}  // namespace hc
