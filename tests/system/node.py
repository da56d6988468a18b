"""A node in QEMU as its operator sees it, and the repository that it gets its versions from."""

import functools
import http.server
import json
import threading
import time

from machine import BOOT_LIMIT, Machine, Restarted

HOST = "10.0.2.2"  # what QEMU's own network calls the machine it runs on
JUDGED = """
until [ -n "$(systemctl show --property=ExecMainExitTimestamp --value honeycomb-boot.service)" ]; do sleep 1; done
"""


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


class Repository:
    """Serves a folder to the guest for as long as it lives."""

    def __init__(self, folder):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Node(Machine):
    def set_up(self, repository, tries=3):
        """The first boot, where that was not before, and what an operator tells a new node."""
        self.begin()
        self.must(f"""
            sed -i 's/^hub=.*/hub={HOST}:{repository.port}/; s/^tries=.*/tries={tries}/' /etc/honeycomb/honeycomb.conf
            hc-os remote add origin http://{HOST}:{repository.port}
        """)

    def begin(self):
        boots = self.memory is None
        self.power_on()
        if boots:
            self.wait_for_boot()
            self.settle()

    def must(self, script, status=0, limit=BOOT_LIMIT):
        ended, output = self.sh(script, limit)
        if ended != status:
            raise AssertionError(f"exit status {ended}, not {status}: {script}\n{output}")
        return output

    def os(self, *words, status=0):
        """What `hc-os --json` prints."""
        command = " ".join(["hc-os --json", *words])
        output = self.must(f"{command} 2>/run/errors; ended=$?; cat /run/errors >&2; exit $ended", status)
        return json.loads(output)

    def settle(self, limit=3 * BOOT_LIMIT):
        """Until nothing is under way, over as many restarts as that takes; the node's status."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            try:
                self.must(JUDGED, limit=end - time.monotonic())
                ended, output = self.sh("hc-os --json status 2>/dev/null")
                # A version on trial whose engine crashes says nothing, and is ended by others.
                if ended == 0 and json.loads(output)["transaction"] is None:
                    return json.loads(output)
                self.wait_for_boot()
            except Restarted:
                continue
        raise AssertionError(f"no end within {limit} s; the console ends with:\n{self.tail('console')}")

    def restart(self):
        """As an operator does it, until the next agent answers and all is settled."""
        try:
            self.sh("systemctl reboot")
            self.wait_for_boot()
        except Restarted:
            pass
        return self.settle()

    def power_cycle(self):
        self.power_off()
        self.power_on()
        self.wait_for_boot()

    def running(self, status=None):
        """The slot in use: its letter, its version, and whether it is confirmed."""
        targets = (status or self.os("status"))["targets"]
        slots = next(target for target in targets if target["target"] == "os")["slots"]
        slot = next(slot for slot in slots if slot["running"])
        return slot["slot"], slot["version"], slot["confirmed"]

    def history(self, target="os"):
        return self.os("history", "--most", "0", "--target", target)["transactions"]

    def outcomes(self, target="os"):
        return [(t["to"]["version"], t["outcome"]) for t in self.history(target)]

    def last(self):
        return self.history()[-1]
