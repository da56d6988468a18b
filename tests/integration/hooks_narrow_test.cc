#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <thread>

#include "engine/base/process.h"
#include "hooks/runner.h"
#include "tests/integration/hook_in_folder.h"

// What a narrowed hook can do and what not, by hooks that try.
namespace hc {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr uid_t kNobody = 65534;

struct Mounted {
  Mounted(const char* type, fs::path where) : place(std::move(where)) {
    EXPECT_EQ(mount(type, place.c_str(), type, 0, nullptr), 0);
  }
  ~Mounted() { EXPECT_EQ(umount2(place.c_str(), MNT_DETACH), 0); }
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;

  const fs::path place;
};

class HookNarrowTest : public HookInFolder {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "narrowing a hook needs root";
    HookInFolder::SetUp();
    ASSERT_EQ(chmod(directory_.c_str(), 0755), 0);
  }
  void TearDown() override {
    if (!directory_.empty()) HookInFolder::TearDown();
  }

  HookCall as_nobody(const std::string& script) {
    HookCall call = hook(script);
    call.user = "nobody";
    EXPECT_EQ(chown(state_.c_str(), kNobody, kNobody), 0);
    EXPECT_TRUE(fs::copy_file(HC_INSIGHT_PROGRAM, payload_ / "hc-insight"));
    call.environment["INSIGHT"] = payload_ / "hc-insight";
    return call;
  }
  HookCall without_devices(const std::string& script) {
    HookCall call = hook(script);
    call.devices.emplace();
    return call;
  }
  // The result that `call` has in a process in which `before` was done first.
  HookResult run_in_child(const HookCall& call, const std::function<bool()>& before) {
    const pid_t child = fork();
    if (child == 0) {
      const bool done = before();
      const HookResult result = run(call);
      _exit(done && write_atomically(directory_ / "result", dump_json(to_json(result))) ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    return *hook_result_from_json(*parse_json(*read_file(directory_ / "result")));
  }
};

TEST_F(HookNarrowTest, RunsAsItsUserAndGainsNothing) {
  ASSERT_TRUE(fs::copy_file("/usr/bin/id", payload_ / "id"));
  ASSERT_EQ(chmod((payload_ / "id").c_str(), 04755), 0);
  const HookResult result = run(as_nobody(
      "id -un; id -G; ./id -u; echo $HOME $USER $LOGNAME; grep -E '^(Cap(Prm|Eff|Bnd)|NoNewPrivs)' /proc/self/status\n"
      "echo to stderr > /dev/stderr; echo mine > $HC_STATE_DIR/file; $INSIGHT state user=nobody\n"
      "touch /etc/hc-test /root/hc-test && exit 9; exit 0"));
  ASSERT_TRUE(result.passed()) << result.reason << result.output;
  EXPECT_THAT(result.output, StartsWith("nobody\n65534\n65534\n/nonexistent nobody nobody\n"
                                        "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
                                        "CapBnd:\t0000000000000000\nNoNewPrivs:\t1\nto stderr\n"));
  EXPECT_THAT(result.insight, ElementsAre(Field(&Insight::text, "nobody")));
  EXPECT_EQ(state("file"), "mine");
}

TEST_F(HookNarrowTest, AUserThatCannotRunItIsSaid) {
  HookCall call = hook("exit 0");
  call.user = "hc-no-such-user";
  HookResult result = run(call);
  EXPECT_EQ(result.end, HookEnd::could_not_run);
  EXPECT_THAT(result.reason, HasSubstr("this machine has no user `hc-no-such-user`"));
  call.user = "nobody";
  ASSERT_EQ(chmod(payload_.c_str(), 0700), 0);
  result = run(call);
  EXPECT_EQ(result.end, HookEnd::could_not_run);
  EXPECT_THAT(result.reason, HasSubstr("its user may not execute it"));
}

TEST_F(HookNarrowTest, WhatCannotBeEnforcedDoesNotRun) {
  const auto other_user = [] { return setgid(kNobody) == 0 && setuid(kNobody) == 0; };
  for (const fs::path& opened : {directory_, sockets_}) ASSERT_EQ(chmod(opened.c_str(), 0777), 0);
  EXPECT_TRUE(run_in_child(hook("exit 0"), other_user).passed());
  std::vector<HookCall> calls(6, hook("touch $HC_STATE_DIR/ran"));
  calls[0].user = "daemon";
  calls[1].devices.emplace();
  calls[2].network = HookNetwork::none;
  calls[3].network = HookNetwork::hosts;
  calls[4].hidden = {"/srv"};
  calls[5].credentials = payload_;
  for (const HookCall& call : calls) {
    const HookResult result = run_in_child(call, other_user);
    EXPECT_EQ(result.end, HookEnd::could_not_run);
    EXPECT_THAT(result.reason, HasSubstr("by root only"));
    EXPECT_EQ(result.attempts, 0);
  }
  // Root without the rights of root, as in a container.
  const auto no_admin = [] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (syscall(SYS_capget, &header, data.data()) != 0) return false;
    data[0].permitted &= ~(1U << CAP_SYS_ADMIN);
    data[0].effective = data[0].permitted;
    return syscall(SYS_capset, &header, data.data()) == 0;
  };
  EXPECT_TRUE(run_in_child(hook("exit 0"), no_admin).passed());
  for (HookCall call : calls) {
    call.program = hook("touch $HC_STATE_DIR/ran").program;
    if (!call.user.empty()) continue;  // that needs no more than it has
    const HookResult result = run_in_child(call, no_admin);
    EXPECT_EQ(result.end, HookEnd::could_not_run);
    EXPECT_THAT(result.reason, HasSubstr("Operation not permitted"));
  }
  EXPECT_THAT(*list_dir(state_), IsEmpty());
}

TEST_F(HookNarrowTest, WithoutDevicesOnlyTheStandardOnesAreThere) {
  const HookResult result = run(without_devices(
      "ls -x -w 0 /dev; echo x > /dev/null && head -c 4 /dev/urandom | wc -c; echo 7 > /dev/shm/x; cat /dev/shm/x\n"
      "python3 -c 'import pty, os; m, s = pty.openpty(); print(os.ttyname(s))'\n"
      "echo no > /dev/x && exit 9; exit 0"));
  ASSERT_TRUE(result.passed()) << result.reason << result.output;
  EXPECT_THAT(result.output, StartsWith("fd  full  null  ptmx  pts  random  shm  stderr  stdin  stdout  tty  urandom  "
                                        "zero\n4\n7\n/dev/pts/0\n"));
}

TEST_F(HookNarrowTest, NamedDevicesAreThereAndWork) {
  // Real nodes that every machine has, seen by their own name, by a symlink, and in a directory.
  const fs::path link = "/dev/hc-test-" + std::to_string(getpid());
  ASSERT_EQ(symlink("kmsg", link.c_str()), 0);
  HookCall call = hook("[ -c /dev/kmsg ] && [ -c " + link.string() + " ] && echo both; echo hi > " + link.string() +
                       " && echo written; ls -d /dev/cpu/0/* /dev/mem; rm /dev/kmsg /dev/cpu/0/msr; exit 0");
  call.devices = {link.string(), "/dev/cpu", "/dev/hc-none", "/dev/../etc/passwd", "/dev/fd", "/etc/passwd"};
  const HookResult result = run(call);
  unlink(link.c_str());
  EXPECT_THAT(result.output, StartsWith("both\nwritten\n"));
  if (fs::exists("/dev/cpu/0/msr")) {
    EXPECT_THAT(result.output, HasSubstr("/dev/cpu/0/msr\n"));
    EXPECT_TRUE(fs::exists("/dev/cpu/0/msr"));
  }
  EXPECT_THAT(result.output, HasSubstr("cannot access '/dev/mem'"));
  EXPECT_TRUE(fs::exists("/dev/kmsg"));
  std::vector<std::string> warnings;
  for (const Insight& insight : result.insight) warnings.push_back(insight.text);
  EXPECT_THAT(warnings, Contains(HasSubstr("has no `/dev/hc-none`")));
  EXPECT_THAT(warnings, Contains(HasSubstr("`/dev/../etc/passwd` is no path below /dev")));
  EXPECT_THAT(warnings, Contains(HasSubstr("`/etc/passwd` is no path below /dev")));
  EXPECT_THAT(warnings, Contains(HasSubstr("`/dev/fd` is no device")));
}

TEST_F(HookNarrowTest, ATerminalIsADeviceByItsLink) {
  const UniqueFd camera(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  ASSERT_TRUE(camera);
  ASSERT_EQ(unlockpt(camera.get()), 0);
  const UniqueFd open_end(
      open(ptsname(camera.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));  // else what it said goes with it
  const std::string terminal = ptsname(camera.get());
  const fs::path link = "/dev/hc-test-" + std::to_string(getpid());
  ASSERT_EQ(symlink(terminal.c_str(), link.c_str()), 0);
  HookCall call = hook("echo pan > " + link.string());
  call.devices = {link.string(), terminal};
  const HookResult result = run(call);
  unlink(link.c_str());
  EXPECT_TRUE(result.passed()) << result.reason << result.output;
  std::array<char, 16> heard{};
  EXPECT_GT(read(camera.get(), heard.data(), heard.size()), 0);
  EXPECT_THAT(heard.data(), StartsWith("pan"));
  ASSERT_EQ(result.insight.size(), 1U);
  EXPECT_THAT(result.insight[0].text, HasSubstr("name a link to it"));
}

// Whatever a root hook tries in order to reach what it was not given, from a daemon that hides from its end too.
TEST_F(HookNarrowTest, NoWayOut) {
  // Somebody left a node where the hook can see it, and a program that makes root of everybody.
  ASSERT_EQ(mknod((state_ / "zero").c_str(), S_IFCHR | 0666, makedev(1, 5)), 0);
  const std::string tries = R"END(
attempt() { if "$@" > /dev/null 2>&1; then echo "WAY OUT: $*"; fi; }
attempt sh -c 'ls -A /run | grep -vE "^(hc-hook-.*|lock|udev)$"'
attempt head -c 1 $HC_STATE_DIR/zero
attempt mknod $HC_STATE_DIR/node c 1 5
attempt mknod /tmp/hc-test-node c 1 5
attempt mount -t devtmpfs x $HC_STATE_DIR
attempt mount -t tmpfs x $HC_STATE_DIR
attempt mount -t proc x $HC_STATE_DIR
attempt mount -o remount,dev /
attempt mount -o remount,rw /sys
attempt mount -o remount,rw /proc
attempt umount -l /dev
attempt umount -l /run
attempt umount -l /proc
attempt nsenter -t 1 -m true
attempt nsenter -t 1 -n true
attempt nsenter -t 1 -p true
attempt nsenter -t 1 -C true
attempt unshare -m true
attempt unshare -n true
attempt unshare -Urm sh -c 'umount -l /dev || umount -l /proc || mount -t devtmpfs x /mnt || mount -o remount,dev /'
attempt chroot /proc/1/root true
attempt ls /proc/1/root/
attempt readlink /proc/1/fd/0
attempt cat /proc/1/environ
attempt head -c 1 /proc/1/mem
attempt grep -q 1 "$HC_STATE_DIR/a chroot/proc/1/stat"
attempt test -e "$HC_STATE_DIR/a chroot/sys/kernel"
attempt sh -c 'grep -s integration /proc/[0-9]*/comm'
attempt sh -c 'echo 0 > /sys/fs/cgroup/cgroup.procs || echo 0 > /sys/fs/cgroup/unified/cgroup.procs'
attempt sh -c 'echo x > /proc/sys/kernel/core_pattern'
attempt sh -c 'echo x > /proc/sysrq-trigger'
attempt test -S /run/systemd/private -o -S /run/dbus/system_bus_socket -o -e /run/hc-test-outside
attempt python3 -c "$GRAB"
attempt touch $(dirname $HC_INSIGHT)/x
$INSIGHT log info said
grep CapBnd /proc/self/status
)END";
  // As where somebody works in a chroot.
  const fs::path chroot = state_ / "a chroot";
  ASSERT_TRUE(make_dirs(chroot / "proc"));
  ASSERT_TRUE(make_dirs(chroot / "sys"));
  ASSERT_EQ(unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  const Mounted proc("proc", chroot / "proc");
  const Mounted sys("sysfs", chroot / "sys");
  const fs::path outside = "/run/hc-test-outside";
  ASSERT_TRUE(make_dirs(outside));
  // Root puts off its capabilities and so is the equal of any process without; what it opens then stays open.
  const std::string grab =
      "import ctypes, os\n"
      "libc = ctypes.CDLL(None)\n"
      "def put_on(*sets): libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(*sets))\n"
      "had = (ctypes.c_uint32 * 6)()\n"
      "libc.capget((ctypes.c_uint32 * 2)(0x20080522, 0), had)\n"
      "found = 0\n"
      "for pid in [p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]:\n"
      "    libc.setfsuid(65534)\n"
      "    put_on(0, had[1], 0, 0, had[4], 0)\n"
      "    try: found += 0 * os.open('/proc/' + pid + '/root', os.O_PATH) + 1\n"
      "    except OSError: pass\n"
      "    libc.setfsuid(0)\n"
      "    put_on(*had)\n"
      "raise SystemExit(0 if found else 1)\n";
  HookCall control = hook(
      "setpriv --reuid 65534 --clear-groups sleep 100 & until [ $(stat -c %u /proc/$!) = 65534 ]; do sleep 0.02; done; "
      "python3 -c \"$GRAB\"");
  control.environment["GRAB"] = grab;
  EXPECT_TRUE(run(control).passed()) << "this way is none any more";
  const std::string hide =
      "python3 - <<'END'\nimport os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
      "        os.execv('" +
      (payload_ / "tries.sh").string() +
      "', ['tries.sh'])\n    os._exit(0)\nos.wait()\n"
      "END\nwhile ! [ -e $HC_STATE_DIR/done ]; do sleep 0.02; done; cat $HC_STATE_DIR/out";
  for (const HookNetwork network : {HookNetwork::open, HookNetwork::none, HookNetwork::hosts}) {
    HookCall call = without_devices(hide);
    std::ofstream(payload_ / "tries.sh") << "#!/bin/sh\nexec > $HC_STATE_DIR/out 2>&1" << tries
                                         << ": > $HC_STATE_DIR/done\n";
    ASSERT_EQ(chmod((payload_ / "tries.sh").c_str(), 0755), 0);
    if (network == HookNetwork::open) call.program = payload_ / "tries.sh";
    call.network = network;
    call.environment["GRAB"] = grab;
    const HookResult result = ProcessHookRunner({"/run", 200}).run(call, {}, stop_);
    EXPECT_TRUE(result.passed()) << result.reason << result.output;
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE, IPC_LOCK, SYS_NICE; NET_ADMIN,
    // NET_RAW.
    EXPECT_EQ(state("out"), network == HookNetwork::open ? "CapBnd:\t00000000008074fb" : "CapBnd:\t00000000008044fb");
    EXPECT_EQ(result.insight.size(), 1U);
    for (const char* left : {"out", "done"}) ASSERT_TRUE(remove_tree(state_ / left));
  }
  EXPECT_EQ(rmdir(outside.c_str()), 0);
}

// The cases HK-1 and HK-2 for a hook whose processes are in a namespace of their own.
TEST_F(HookNarrowTest, ItsEndIsThatOfAnyHook) {
  HookResult result = run(without_devices("exit 3"));
  EXPECT_EQ(result.exit_code, 3);
  result = run(without_devices("kill -SEGV $$"));
  EXPECT_EQ(result.signal, SIGSEGV) << result.reason;
  const std::string sleeper = "setsid sleep 1000 & while ! grep -q sleep /proc/$!/comm; do :; done; ";
  HookCall call = without_devices("trap '' TERM; " + sleeper + "echo x > $HC_STATE_DIR/pid; sleep 1000");
  result = run_to_limit(call);
  EXPECT_EQ(result.end, HookEnd::timed_out);
  EXPECT_THAT(result.leftovers, Contains(StartsWith("sleep 1000 (pid ")));
  result = run(without_devices(sleeper + "exit 0"));
  EXPECT_TRUE(result.passed());
  ASSERT_THAT(result.leftovers, ElementsAre(StartsWith("sleep 1000 (pid ")));
  const std::string& text = result.leftovers[0];
  EXPECT_NE(kill(std::stoi(text.substr(text.find("pid ") + 4)), 0), 0);
}

TEST_F(HookNarrowTest, AStopEndsIt) {
  std::thread stopper([this] {
    while (state("pid").empty()) usleep(5000);
    stop_.request();
  });
  const HookResult result = run(without_devices("echo $$ > $HC_STATE_DIR/pid; trap '' TERM; sleep 1000; sleep 1000"));
  stopper.join();
  EXPECT_EQ(result.end, HookEnd::cancelled);
}

// HK-7: nothing of it is left when the engine itself is killed, and the next one runs.
TEST_F(HookNarrowTest, EndsWithAKilledEngine) {
  const auto before = read_file("/proc/self/mounts");
  for (const bool confined : {false, true}) {
    HookCall call = hook(
        "mount -t tmpfs x /mnt 2>/dev/null; trap '' TERM; readlink /proc/self/ns/mnt > $HC_STATE_DIR/ns\n"
        "setsid sleep 1000 & sleep 1000");
    if (confined) call.network = HookNetwork::hosts;
    const pid_t engine = fork();
    if (engine == 0) {
      run(call);
      _exit(0);
    }
    while (state("ns").empty()) usleep(5000);
    ASSERT_EQ(kill(engine, SIGKILL), 0);
    ASSERT_EQ(waitpid(engine, nullptr, 0), engine);
    const auto lives = [this] {
      for (const fs::directory_entry& process : fs::directory_iterator("/proc")) {
        std::error_code error;
        if (fs::read_symlink(process.path() / "ns/mnt", error).string() == state("ns")) return true;
      }
      return false;
    };
    while (lives()) usleep(5000);
    ASSERT_TRUE(remove_tree(state_ / "ns"));
    EXPECT_TRUE(run("exit 0").passed());
    EXPECT_EQ(*read_file("/proc/self/mounts"), *before);
  }
  const auto rooms = list_dir(sockets_);
  for (const std::string& room : *rooms) ASSERT_TRUE(remove_tree(sockets_ / room));
}

}  // namespace
}  // namespace hc
