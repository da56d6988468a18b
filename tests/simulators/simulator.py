"""What the simulators of peripherals share: a memory that survives a power cycle, and faults on demand.

A simulator is a process: SIGKILL is its power cut, starting it again its power cycle. `memory` is its flash, a JSON
file. `faults` is a JSON file that the test may change at any time, read at each request.
"""

import json
import os
import threading
import time
from pathlib import Path


class Device:
    def __init__(self, folder, first):
        self.folder = Path(folder)
        self.memory_file = self.folder / "memory.json"
        self.lock = threading.RLock()
        self.now = dict(first)
        if self.memory_file.exists():
            self.now.update(json.loads(self.memory_file.read_text()))
        self.save()

    def faults(self):
        file = self.folder / "faults.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def fault(self, name, default=None):
        return self.faults().get(name, default)

    def save(self):
        """Into flash, unless the device is one that forgets."""
        if self.fault("forgets") and self.memory_file.exists():
            return
        part = self.folder / f"memory.part.{threading.get_ident()}"
        part.write_text(json.dumps(self.now))
        part.replace(self.memory_file)

    def log(self, what):
        with open(self.folder / "log", "a", encoding="utf-8") as out:
            out.write(what + "\n")

    def before(self, what):
        """Called for each request: logs it and plays the faults that hold for all devices."""
        self.log(what)
        time.sleep(self.fault("slow_s", 0))
        if self.fault("dies_at") == what:
            os._exit(1)

    def ready(self, text):
        """Tells the test where the device is."""
        part = self.folder / "ready.part"
        part.write_text(str(text))
        part.replace(self.folder / "ready")
