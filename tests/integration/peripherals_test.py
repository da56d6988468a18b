#!/usr/bin/env python3
"""The reference payloads of hooks/peripherals, deployed by the real hc-os on a node in a folder, against simulators that
speak the real protocols over real sockets and misbehave on demand.

peripherals_test.py PROGRAM_DIRECTORY...
"""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from node import OnNode, in_namespace, unittest  # noqa: E402
from programs import ROOT, run  # noqa: E402

PAYLOADS = ROOT / "hooks/peripherals"
SIMULATORS = ROOT / "tests/simulators"


class Simulator:
    """A device: `start` is its power-on, `kill` its power cut; what it remembers is in its folder."""

    def __init__(self, test, program):
        self.test, self.program, self.process = test, program, None
        self.folder = test.dir / "device"
        self.folder.mkdir()
        self.port = 0
        self.start()
        test.addCleanup(self.kill)

    def start(self):
        (self.folder / "ready").unlink(missing_ok=True)
        command = [sys.executable, "-B", SIMULATORS / self.program, self.folder, str(self.port)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        while not (self.folder / "ready").exists():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.program} ended with {self.process.returncode}")
            time.sleep(0.02)
        self.place = (self.folder / "ready").read_text()
        if self.place.isdigit():
            self.port = int(self.place)  # the same one after each power cycle

    def kill(self):
        self.process.kill()
        self.process.wait()

    def cycle(self):
        self.kill()
        self.start()

    def cycle_when_dead(self):
        """For a device that dies by itself half-way and comes up again, as with a watchdog."""
        self.process.wait(timeout=60)
        self.faults()
        self.start()

    def faults(self, **faults):
        part = self.folder / "faults.part"
        part.write_text(json.dumps(faults))
        part.replace(self.folder / "faults.json")

    def memory(self):
        return json.loads((self.folder / "memory.json").read_text())

    def requests(self):
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    def wait_for(self, request):
        while request not in self.requests():
            time.sleep(0.02)


class Peripheral(OnNode):
    NAME = PROGRAM = None

    def setUp(self):
        super().setUp()
        self.sequence = 0
        if self.PROGRAM:
            self.device = Simulator(self, self.PROGRAM)

    def settings(self):
        return {}

    def prepare(self, tree):
        """What a person does to the copied folder beside its settings."""

    def build(self, version, narrowed=None, **settings):
        """A version of the payload as its documentation says: copy the folder, change its settings."""
        tree = self.dir / f"{self.NAME}-{version}"
        shutil.copytree(PAYLOADS / self.NAME, tree)
        lines = (tree / "settings.conf").read_text().splitlines()
        values = {**self.settings(), **settings}
        lines = [line for line in lines if line.split("=")[0] not in values]
        (tree / "settings.conf").write_text("\n".join([*lines, *(f"{k}={v}" for k, v in values.items()), ""]))
        metadata = json.loads((tree / "metadata.json").read_text())
        # A device that stays broken is to fail the test soon.
        metadata.update(config_version=version, retry_state_check=0, retry_install=0, retry_verify=0)
        metadata.update(narrowed or {})
        (tree / "metadata.json").write_text(json.dumps(metadata))
        self.prepare(tree)
        self.publish(tree)

    def deploy(self, version, outcome="confirmed"):
        status = 9 if outcome == "failed" else 0
        report = self.os("deploy", "-t", self.NAME, version, status=status)
        self.assertEqual(report["outcome"], outcome, report)
        return report

    def history(self):
        return [transaction for transaction in super().history() if transaction["target"] == self.NAME]

    def hooks(self, transaction=-1):
        return [hook["hook"] for hook in self.history()[transaction]["hooks"]]


class AsItIs:
    """What each of the payloads must do before anybody has changed its settings."""

    def test_the_folder_as_it_is_passes_the_check(self):
        self.assertEqual(self.json_of("hc-payload", "check", PAYLOADS / self.NAME)["findings"], [])


class Camera(AsItIs, Peripheral):
    NAME, PROGRAM = "ptz-camera", "onvif_camera.py"
    FIRST = (0, 0, 0, 1280, 720)

    def settings(self):
        return {"address": f"http://127.0.0.1:{self.device.port}", "move_seconds": 5}

    def state(self):
        memory = self.device.memory()
        return tuple(round(memory[key], 4) for key in ("pan", "tilt", "zoom", "width", "height"))

    def test_a_good_upgrade_with_insight(self):
        self.build("1.0.0")
        self.deploy("1.0.0")
        self.assertEqual(self.state(), (0.25, -0.1, 0.4, 1920, 1080))
        self.assertEqual(self.device.memory()["frame_rate"], 25, "what is not named stays as it is")
        hooks = {hook["hook"]: hook for hook in self.history()[-1]["hooks"]}
        install, verify = hooks["hc_install_upgrade.sh"]["insight"], hooks["hc_verify_upgrade.sh"]["insight"]
        self.assertIn(("progress", 100), [(entry["kind"], entry.get("number")) for entry in install])
        told = {entry["name"]: entry for entry in verify}
        self.assertAlmostEqual(told["pan"]["number"], 0.25)
        self.assertEqual(told["resolution"]["text"], "1920x1080")

    def test_hooks_that_may_reach_the_camera_and_nothing_else(self):
        self.build("1.0.0", narrowed={"network": ["127.0.0.1"], "devices": []})
        self.os("deploy", "-t", self.NAME, "1.0.0", status=None)
        last = self.history()[-1]
        if "could not run" in json.dumps(last["failure"]):
            self.skipTest("nothing can be enforced here: " + last["failure"]["text"])
        self.assertEqual(last["outcome"], "confirmed", last)
        self.assertEqual(self.state(), (0.25, -0.1, 0.4, 1920, 1080))

    def test_already_there_is_not_needed(self):
        self.build("1.0.0", pan="0", tilt="0", zoom="0", resolution="1280x720")
        self.deploy("1.0.0", "not-needed")
        self.assertFalse({"AbsoluteMove", "SetVideoEncoderConfiguration"} & set(self.device.requests()))

    def test_rollback_goes_back_to_the_version_before(self):
        self.build("1.0.0")
        self.build("2.0.0", pan="-0.5", resolution="640x480")
        self.deploy("1.0.0")
        self.deploy("2.0.0")
        self.assertEqual(self.state(), (-0.5, -0.1, 0.4, 640, 480))
        self.assertEqual(self.os("rollback", self.NAME)["outcome"], "confirmed")
        self.assertEqual(self.state(), (0.25, -0.1, 0.4, 1920, 1080))

    def test_a_camera_that_forgets_over_a_power_cycle_is_found_and_brought_back(self):
        self.build("1.0.0")
        self.device.faults(forgets=True)
        self.deploy("1.0.0")
        self.assertEqual(self.os("status", "--check")["peripherals"][0]["drifted"], False)
        self.device.cycle()
        drifted = self.os("status", "--check", status=None)["peripherals"][0]
        self.assertEqual((drifted["target"], drifted["drifted"]), ("ptz-camera", True))
        self.assertIn("the resolution is 1280x720 instead of 1920x1080", drifted["hook"]["output"])
        self.device.faults()
        self.os("deploy", "-t", self.NAME, "1.0.0", "--again")
        self.assertEqual(self.state(), (0.25, -0.1, 0.4, 1920, 1080))
        self.assertEqual(self.os("status", "--check")["peripherals"][0]["drifted"], False)

    def test_a_camera_that_cannot_be_taken_back_is_degraded_until_it_can(self):
        self.build("1.0.0")
        self.build("2.0.0", pan="-0.5", resolution="640x480")
        self.deploy("1.0.0")
        self.device.faults(dies_moving=True)
        self.deploy("2.0.0", "failed")
        self.assertIsNotNone(self.device.process.poll(), "it has died, and nobody starts it")
        target = next(t for t in self.os("status")["targets"] if t["target"] == self.NAME)
        self.assertTrue(target["degraded"])
        self.assertIn("hc_rollback_upgrade.sh", target["problem"])
        self.device.faults()
        self.device.start()
        self.assertEqual(self.state()[3:], (640, 480), "it was left half changed")
        self.os("repair")
        self.assertEqual(self.state(), (0.25, -0.1, 0.4, 1920, 1080))
        target = next(t for t in self.os("status")["targets"] if t["target"] == self.NAME)
        self.assertFalse(target["degraded"])

    def fails_and_is_compensated(self, version="1.0.0", **faults):
        self.build(version)
        self.device.faults(**faults)
        report = self.deploy(version, "failed")
        self.assertEqual(self.state(), self.FIRST)
        self.assertIn("hc_rollback_upgrade.sh", self.hooks())
        return report

    def test_a_camera_that_refuses_its_position(self):
        self.build("1.0.0", pan="1.5")
        self.deploy("1.0.0", "failed")
        self.assertEqual(self.state(), self.FIRST, "the resolution, which it had taken, is set back too")
        self.assertIn("out of bounds", json.dumps(self.history()[-1]))

    def test_a_camera_that_says_yes_and_does_nothing(self):
        self.fails_and_is_compensated(ignores="SetVideoEncoderConfiguration")
        self.assertIn("1280x720 instead of 1920x1080", json.dumps(self.history()[-1]))

    def test_a_camera_that_gets_stuck(self):
        self.build("1.0.0", move_seconds=1)
        self.device.faults(stuck=True)
        self.deploy("1.0.0", "failed")
        story = json.dumps(self.history()[-1])
        self.assertIn("the camera does not get to", story)

    def test_a_slow_camera_is_waited_for(self):
        self.build("1.0.0")
        self.device.faults(slow_s=0.3, move_s=1.5)
        self.deploy("1.0.0")

    def test_a_camera_that_is_off_is_a_failure_and_no_verdict(self):
        self.build("1.0.0")
        self.device.kill()
        self.deploy("1.0.0", "failed")
        self.assertEqual(self.hooks(), ["hc_state_check.sh"], "nothing was begun")
        self.device.start()
        self.assertEqual(self.state(), self.FIRST)
        self.assertEqual(self.os("deploy", "-t", self.NAME, "1.0.0", "--again")["outcome"], "confirmed")

    def power_cut(self, cycle):
        """In the middle of the camera's movement: the engine and its hooks are killed, the camera maybe too."""
        self.build("1.0.0")
        self.device.faults(move_s=3)
        with self.start_os("deploy", "-t", self.NAME, "1.0.0") as deploy:
            self.device.wait_for("AbsoluteMove")
            self.cut_power(deploy)
        if cycle:
            self.device.cycle()
        self.device.faults()
        half_way = self.state()
        self.assertEqual(half_way[3:], (1920, 1080), "it was in the middle")
        self.os("resume", status=None)
        self.assertEqual(self.state(), self.FIRST)
        last = self.history()[-1]
        self.assertEqual(last["outcome"], "failed", last)
        self.assertIn("hc_rollback_upgrade.sh", self.hooks())
        steps = [(step["name"], step["direction"]) for step in last["steps"]]
        self.assertIn(("install", "undo"), steps)
        self.assertEqual(self.os("deploy", "-t", self.NAME, "1.0.0", "--again")["outcome"], "confirmed")

    def test_power_cut_while_it_moves_and_the_camera_stays_on(self):
        self.power_cut(cycle=False)

    def test_power_cut_while_it_moves_and_the_camera_loses_power_too(self):
        self.power_cut(cycle=True)

    def test_a_camera_that_dies_half_way_and_comes_up_again(self):
        self.build("1.0.0")
        self.device.faults(dies_moving=True)
        with self.start_os("deploy", "-t", self.NAME, "1.0.0") as deploy:
            self.device.cycle_when_dead()
            deploy.wait()
        self.os("resume", status=None)
        self.assertEqual(self.history()[-1]["outcome"], "failed")
        self.assertEqual(self.state(), self.FIRST)


class CameraLogin(Peripheral):
    """The camera wants a login, which lies on the node and in no payload."""

    NAME, PROGRAM = "ptz-camera", "onvif_camera.py"

    def setUp(self):
        super().setUp()
        (self.device.folder / "password").write_text("hunter2 & <more>")
        self.device.cycle()
        self.secrets = self.node_secrets(self.NAME)
        (self.secrets / "user").write_text("admin\n")
        (self.secrets / "password").write_text("hunter2 & <more>\n")
        self.build("1.0.0")

    def settings(self):
        return {"address": f"http://127.0.0.1:{self.device.port}", "move_seconds": 5}

    def hook(self, name, **environment):
        state = self.dir / "state"
        state.mkdir(exist_ok=True)
        variables = {"HC_STATE_DIR": state, "HC_TRANSACTION": "7", "HC_CREDENTIALS_DIR": self.secrets, **environment}
        return run(
            f"./hc_{name}.sh", cwd=self.dir / "ptz-camera-1.0.0", environment={k: str(v) for k, v in variables.items()}
        )

    def test_the_nodes_secret_reaches_the_hooks_and_nobody_else(self):
        self.deploy("1.0.0")
        self.assertEqual(self.device.memory()["width"], 1920)
        self.assertNotIn("hunter2", json.dumps(super().history()))

    def test_the_digest_lets_us_in_though_the_cameras_clock_is_wrong(self):
        self.device.faults(clock_offset_s=-86400 * 400)
        done = self.hook("install_upgrade")
        self.assertEqual(done.status, 0, done)
        self.assertNotIn("hunter2", done.output + done.errors)
        self.assertEqual(self.hook("verify_upgrade").status, 0)
        self.assertEqual(self.hook("state_check").status, 1)
        self.assertEqual(self.hook("rollback_upgrade").status, 0)
        self.assertEqual(self.device.memory()["width"], 1280)

    def test_a_wrong_password_and_none_fail(self):
        (self.secrets / "password").write_text("guess\n")
        done = self.hook("state_check")
        self.assertEqual(done.status, 2)
        self.assertIn("wrong digest", done.errors)
        shutil.rmtree(self.secrets)
        self.assertEqual(self.hook("state_check").status, 2)
        self.assertEqual(self.hook("state_check", HC_CREDENTIALS_DIR="").status, 2)

    def test_the_old_settings_survive_a_second_run_of_the_install_hook(self):
        self.assertEqual(self.hook("install_upgrade").status, 0)
        self.assertEqual(self.hook("install_upgrade").status, 0)
        self.assertEqual(self.hook("rollback_upgrade").status, 0)
        self.assertEqual(self.device.memory()["width"], 1280)
        self.assertEqual(self.hook("rollback_upgrade", HC_TRANSACTION="8").status, 0, "another one has changed nothing")


class Switch(AsItIs, Peripheral):
    NAME, PROGRAM = "network-switch", "restconf_switch.py"

    def settings(self):
        return {"address": f"http://127.0.0.1:{self.device.port}"}

    def state(self):
        memory = self.device.memory()
        return [(memory[f"port{n}"]["enabled"], memory[f"port{n}"]["description"]) for n in (1, 2, 8)]

    FIRST = [(True, ""), (True, ""), (True, "")]
    WANTED = [(True, "camera"), (True, "microphone"), (False, "")]

    def test_a_good_upgrade_and_again_not_needed(self):
        self.build("1.0.0")
        self.build("1.0.1")
        self.deploy("1.0.0")
        self.assertEqual(self.state(), self.WANTED)
        self.assertEqual(self.device.memory()["port1"]["type"], "iana-if-type:ethernetCsmacd")
        changes = [request for request in self.device.requests() if not request.startswith("GET")]
        self.deploy("1.0.1", "not-needed")
        self.assertEqual([r for r in self.device.requests() if not r.startswith("GET")], changes)

    def test_a_port_that_is_refused_takes_all_back(self):
        self.build("1.0.0")
        self.device.faults(refuses="PATCH port8")
        self.deploy("1.0.0", "failed")
        self.assertEqual(self.state(), self.FIRST)
        self.assertIn("PATCH port2", self.device.requests())

    def test_a_port_that_is_ignored_is_seen(self):
        self.build("1.0.0")
        self.device.faults(ignores="PATCH port2")
        self.deploy("1.0.0", "failed")
        self.assertEqual(self.state(), self.FIRST)

    def test_a_switch_that_dies_half_way(self):
        self.build("1.0.0")
        self.device.faults(dies_at="PATCH port8")
        with self.start_os("deploy", "-t", self.NAME, "1.0.0") as deploy:
            self.device.cycle_when_dead()
            deploy.wait()
        self.os("resume", status=None)
        self.assertEqual(self.state(), self.FIRST)
        self.assertEqual(self.history()[-1]["outcome"], "failed")

    def test_a_switch_without_such_a_port(self):
        self.build("1.0.0")
        tree = self.dir / "network-switch-1.0.0"
        ports = (tree / "ports.json").read_text().replace("port8", "ge-0/0/8")
        (tree / "ports.json").write_text(ports)
        metadata = json.loads((tree / "metadata.json").read_text())
        (tree / "metadata.json").write_text(json.dumps({**metadata, "config_version": "1.1.0"}))
        self.publish(tree)
        self.deploy("1.1.0", "failed")
        self.assertIn("GET ge-0/0/8", self.device.requests())
        self.assertEqual(self.state(), self.FIRST)

    def test_a_login_that_no_process_list_shows(self):
        (self.device.folder / "password").write_text('se"cr\\et')
        self.build("1.0.0")
        secrets = self.dir / "secrets"
        secrets.mkdir()
        (secrets / "user").write_text("admin\n")
        (secrets / "password").write_text('se"cr\\et\n')
        environment = {"HC_STATE_DIR": str(self.dir), "HC_CREDENTIALS_DIR": str(secrets)}
        tree = self.dir / "network-switch-1.0.0"
        self.assertEqual(run("./hc_state_check.sh", cwd=tree, environment=environment).status, 0)
        (secrets / "password").write_text("wrong\n")
        self.assertEqual(run("./hc_state_check.sh", cwd=tree, environment=environment).status, 2)


class Firmware(AsItIs, Peripheral):
    NAME, PROGRAM = "firmware-flash", "stm32_bootloader.py"

    def settings(self):
        # A pseudo terminal knows no parity.
        return {"port": self.device.place, "mode": "8n1"}

    def flash(self, size=3016):
        return (self.device.folder / "flash.bin").read_bytes()[:size]

    def setUp(self):
        super().setUp()
        self.old, self.new = self.flash(), (PAYLOADS / "firmware-flash/firmware.bin").read_bytes()

    def test_a_good_upgrade_and_again_not_needed(self):
        self.build("1.0.0")
        self.build("1.0.1")
        self.deploy("1.0.0")
        self.assertEqual(self.flash(), self.new)
        writes = self.device.memory()["writes"]
        self.deploy("1.0.1", "not-needed")
        self.assertEqual(self.device.memory()["writes"], writes)

    def test_a_flash_that_reads_back_wrong(self):
        self.build("1.0.0")
        self.device.faults(bad_flash=True)
        self.os("deploy", "-t", self.NAME, "1.0.0", status=None)
        self.assertNotEqual(self.history()[-1]["outcome"], "confirmed")

    def test_a_silent_boot_loader(self):
        self.build("1.0.0")
        self.device.faults(silent=True)
        self.deploy("1.0.0", "failed")
        self.assertEqual(self.flash(), self.old)

    def test_power_cut_while_it_is_written(self):
        """The microcontroller is left with half of the new firmware; its boot loader is in ROM and lives."""
        self.build("1.0.0")
        self.device.faults(dies_after_writes=6)
        with self.start_os("deploy", "-t", self.NAME, "1.0.0") as deploy:
            self.device.process.wait(timeout=60)
            self.cut_power(deploy)
        self.assertNotIn(self.flash(), (self.old, self.new))
        self.device.faults()
        self.device.start()
        self.os("resume", status=None)
        self.assertEqual(self.flash(), self.old)
        self.assertEqual(self.history()[-1]["outcome"], "failed")


class Helper(AsItIs, Peripheral):
    """A real sshd on loopback with throw-away keys is the other computer of the node."""

    NAME = "helper-board"
    SENSOR = """#!/bin/sh
# Keeps the sensor's settings in files.
case $1 in
  get) cat "{folder}/$2" ;;
  set) [ ! -e "{folder}/broken" ] || exit 1
       printf '%s\\n' "$3" > "{folder}/$2" ;;
esac
"""

    def setUp(self):
        super().setUp()
        self.board = self.dir / "board"
        self.board.mkdir()
        self.secrets = self.node_secrets(self.NAME)
        for name in (self.board / "host_key", self.secrets / "id_ed25519"):
            self.run_in("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
        shutil.copy(self.secrets / "id_ed25519.pub", self.board / "authorized_keys")
        (self.board / "sample_rate").write_text("1\n")
        (self.board / "gain").write_text("low\n")
        self.sensor("sensorctl", self.SENSOR.format(folder=self.board))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (self.board / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {self.board}/host_key\nPidFile none\nUsePAM no\n"
            f"StrictModes no\nAuthorizedKeysFile {self.board}/authorized_keys\nPasswordAuthentication no\n"
            f"PermitRootLogin yes\nSetEnv PATH={self.board}:/usr/bin:/bin\n"
        )
        self.start_board()
        self.addCleanup(self.stop_board)

    def sensor(self, name, text):
        (self.board / name).write_text(text)
        (self.board / name).chmod(0o755)

    def start_board(self):
        Path("/run/sshd").mkdir(exist_ok=True)
        self.sshd = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-E", self.board / "log", "-f", self.board / "sshd_config"]
        )
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)

    def stop_board(self):
        self.sshd.kill()
        self.sshd.wait()

    def prepare(self, tree):
        key = (self.board / "host_key.pub").read_text().split()
        (tree / "known_hosts").write_text(f"helper {key[0]} {key[1]}\n")
        config = (tree / "ssh_config").read_text()
        config = config.replace("board.example", "127.0.0.1").replace("Port 22", f"Port {self.port}")
        (tree / "ssh_config").write_text(config.replace("User honeycomb", "User root"))

    def state(self):
        return tuple((self.board / name).read_text().strip() for name in ("sample_rate", "gain"))

    def test_a_good_upgrade_and_again_not_needed(self):
        self.build("1.0.0")
        self.build("1.0.1")
        self.deploy("1.0.0")
        self.assertEqual(self.state(), ("10", "auto"))
        self.deploy("1.0.1", "not-needed")

    def test_a_sensor_that_refuses(self):
        self.build("1.0.0")
        (self.board / "broken").touch()
        self.os("deploy", "-t", self.NAME, "1.0.0", status=None)
        self.assertNotEqual(self.history()[-1]["outcome"], "confirmed")
        self.assertEqual(self.state(), ("1", "low"))

    def test_a_second_setting_that_fails_takes_back_the_first(self):
        self.build("1.0.0")
        self.sensor("sensorctl", self.SENSOR.format(folder=self.board).replace("  set)", "  set) [ $3 != auto ] || exit 1;"))
        self.deploy("1.0.0", "failed")
        self.assertEqual(self.state(), ("1", "low"))

    def test_another_host_key_is_never_trusted(self):
        self.build("1.0.0")
        self.stop_board()
        (self.board / "host_key").unlink()
        self.run_in("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.board / "host_key")
        self.start_board()
        self.deploy("1.0.0", "failed")
        self.assertIn("Host key verification failed", json.dumps(self.history()[-1]))
        self.assertEqual(self.state(), ("1", "low"))

    def test_a_board_that_is_off(self):
        self.build("1.0.0")
        self.stop_board()
        self.deploy("1.0.0", "failed")
        self.assertEqual(self.hooks(), ["hc_state_check.sh"])

    def test_words_that_are_no_plain_words_never_reach_the_other_shell(self):
        self.build("1.0.0", gain=f"$(touch {self.dir}/pwned)")
        self.deploy("1.0.0", "failed")
        self.assertFalse((self.dir / "pwned").exists())
        self.assertEqual(self.state(), ("1", "low"))


if __name__ == "__main__":
    in_namespace()
    unittest.main(verbosity=2)
