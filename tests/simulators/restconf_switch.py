#!/usr/bin/env python3
"""A switch with RESTCONF (RFC 8040) and the interfaces of RFC 8343: restconf_switch.py FOLDER PORT.

The login is admin with the password in FOLDER/password, or none where there is no such file.
Faults: slow_s, forgets; dies_at REQUEST ("PATCH port2"); refuses REQUEST; ignores REQUEST (says yes, does nothing).
"""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from simulator import Device

KEY = "ietf-interfaces:interface"
ROOT = "/restconf/data/ietf-interfaces:interfaces/interface="


def first_state():
    return {
        f"port{n}": {"name": f"port{n}", "type": "iana-if-type:ethernetCsmacd", "enabled": True, "description": ""}
        for n in range(1, 9)
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    switch = None

    def reply(self, status, body=None):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/yang-data+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, tag, text):
        error = {"error-type": "application", "error-tag": tag, "error-message": text}
        self.reply(status, {"ietf-restconf:errors": {"error": [error]}})

    def handle_request(self):
        switch = self.switch
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        name = unquote(path[len(ROOT) :])
        request = f"{self.command} {name}"
        switch.before(request)
        password = switch.folder / "password"
        if password.exists():
            login = base64.b64encode(b"admin:" + password.read_bytes()).decode()
            if self.headers.get("Authorization") != "Basic " + login:
                return self.refuse(401, "access-denied", "who are you?")
        if not path.startswith(ROOT) or name not in switch.now:
            return self.refuse(404, "invalid-value", "there is no such interface")
        if switch.fault("refuses") == request:
            return self.refuse(409, "in-use", "the configuration is locked")
        if self.command == "GET":
            return self.reply(200, {KEY: [switch.now[name]]})
        if self.headers.get("Content-Type") != "application/yang-data+json":
            return self.refuse(415, "invalid-value", "not this media type")
        interface = json.loads(body)[KEY][0]
        if interface["name"] != name or not isinstance(interface.get("enabled", True), bool):
            return self.refuse(400, "invalid-value", "bad interface")
        if self.command == "PUT" and "type" not in interface:
            return self.refuse(400, "data-missing", "an interface has a type")
        if switch.fault("ignores") != request:
            with switch.lock:
                switch.now[name] = interface if self.command == "PUT" else {**switch.now[name], **interface}
                switch.save()
        return self.reply(204)

    do_GET = do_PATCH = do_PUT = handle_request

    def log_message(self, *_):
        pass


def main():
    Handler.switch = Device(sys.argv[1], first_state())
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
    Handler.switch.ready(server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
