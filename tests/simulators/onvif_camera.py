#!/usr/bin/env python3
"""A PTZ camera with ONVIF's device, media and PTZ services: onvif_camera.py FOLDER PORT.

The login is admin with the password in FOLDER/password, or none where there is no such file.
Faults: slow_s, dies_at REQUEST, forgets; refuses REQUEST; ignores REQUEST (says yes, does nothing); stuck (moves half the
way); dies_moving (half-way); move_s; clock_offset_s.
"""

import base64
import datetime
import hashlib
import os
import sys
import threading
import time
import xml.etree.ElementTree as ET
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from simulator import Device

S = "http://www.w3.org/2003/05/soap-envelope"
TT = "http://www.onvif.org/ver10/schema"
TDS = "http://www.onvif.org/ver10/device/wsdl"
TRT = "http://www.onvif.org/ver10/media/wsdl"
TPTZ = "http://www.onvif.org/ver20/ptz/wsdl"
WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
SECEXT, UTILITY = WSS + "-wssecurity-secext-1.0.xsd", WSS + "-wssecurity-utility-1.0.xsd"

FIRST = {"pan": 0.0, "tilt": 0.0, "zoom": 0.0, "width": 1280, "height": 720, "frame_rate": 25}
SIZES = {(640, 480), (1280, 720), (1920, 1080)}


class Refused(Exception):
    pass


class Camera(Device):
    def __init__(self, folder):
        super().__init__(folder, FIRST)
        self.moving = False
        self.nonces = set()
        password = self.folder / "password"
        self.password = password.read_text() if password.exists() else None

    def clock(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
            seconds=self.fault("clock_offset_s", 0)
        )

    def check_login(self, envelope):
        if self.password is None:
            return
        token = envelope.find(f"{{{S}}}Header/{{{SECEXT}}}Security/{{{SECEXT}}}UsernameToken")
        if token is None:
            raise Refused("Sender not authorized: there is no username token")
        nonce = token.findtext(f"{{{SECEXT}}}Nonce")
        created = token.findtext(f"{{{UTILITY}}}Created")
        password = token.find(f"{{{SECEXT}}}Password")
        digest = hashlib.sha1(base64.b64decode(nonce) + created.encode() + self.password.encode()).digest()
        if not password.get("Type").endswith("#PasswordDigest") or base64.b64decode(password.text) != digest:
            raise Refused("Sender not authorized: wrong digest")
        if token.findtext(f"{{{SECEXT}}}Username") != "admin":
            raise Refused("Sender not authorized: nobody of that name")
        at = datetime.datetime.fromisoformat(created.replace("Z", "+00:00"))
        if abs((at - self.clock()).total_seconds()) > 30 or nonce in self.nonces:
            raise Refused("Sender not authorized: the token is too old or was used before")
        self.nonces.add(nonce)

    def move(self, goal):
        """Moves in small steps, each of which a power cut would keep."""
        steps, start = 20, {axis: self.now[axis] for axis in goal}
        for step in range(1, steps + 1):
            time.sleep(self.fault("move_s", 0.1) / steps)
            if step == steps // 2 and self.fault("dies_moving"):
                os._exit(1)
            if step > steps // 2 and self.fault("stuck"):
                break
            with self.lock:
                for axis in goal:
                    self.now[axis] = start[axis] + (goal[axis] - start[axis]) * step / steps
                self.save()
        self.moving = False

    # Each of these answers one request.

    def GetSystemDateAndTime(self, _):
        at = self.clock()
        return f"""<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>
          <tt:DaylightSavings>false</tt:DaylightSavings><tt:UTCDateTime>
          <tt:Time><tt:Hour>{at.hour}</tt:Hour><tt:Minute>{at.minute}</tt:Minute><tt:Second>{at.second}</tt:Second></tt:Time>
          <tt:Date><tt:Year>{at.year}</tt:Year><tt:Month>{at.month}</tt:Month><tt:Day>{at.day}</tt:Day></tt:Date>
          </tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"""

    def GetCapabilities(self, _):
        return """<tds:GetCapabilitiesResponse><tds:Capabilities>
          <tt:Media><tt:XAddr>http://192.0.2.7/onvif/media_service</tt:XAddr></tt:Media>
          <tt:PTZ><tt:XAddr>http://192.0.2.7/onvif/ptz_service</tt:XAddr></tt:PTZ>
          </tds:Capabilities></tds:GetCapabilitiesResponse>"""

    def encoder(self, element):
        now = self.now
        return f"""<{element} token="enc0"><tt:Name>Main &amp; only</tt:Name><tt:UseCount>1</tt:UseCount>
          <tt:Encoding>H264</tt:Encoding>
          <tt:Resolution><tt:Width>{now["width"]}</tt:Width><tt:Height>{now["height"]}</tt:Height></tt:Resolution>
          <tt:Quality>4</tt:Quality>
          <tt:RateControl><tt:FrameRateLimit>{now["frame_rate"]}</tt:FrameRateLimit>
          <tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>4096</tt:BitrateLimit></tt:RateControl>
          <tt:H264><tt:GovLength>50</tt:GovLength><tt:H264Profile>Main</tt:H264Profile></tt:H264>
          <tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address>
          <tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>
          <tt:SessionTimeout>PT60S</tt:SessionTimeout></{element}>"""

    def GetProfiles(self, _):
        return f"""<trt:GetProfilesResponse>
          <trt:Profiles token="snapshots" fixed="true"><tt:Name>snapshots</tt:Name></trt:Profiles>
          <trt:Profiles token="main" fixed="true"><tt:Name>main</tt:Name>
          {self.encoder("tt:VideoEncoderConfiguration")}
          <tt:PTZConfiguration token="ptz0"><tt:Name>ptz</tt:Name><tt:UseCount>1</tt:UseCount>
          <tt:NodeToken>node0</tt:NodeToken></tt:PTZConfiguration></trt:Profiles></trt:GetProfilesResponse>"""

    def GetStatus(self, body):
        if body.findtext(f"{{{TPTZ}}}ProfileToken") != "main":
            raise Refused("the profile does not exist")
        now, state = self.now, "MOVING" if self.moving else "IDLE"
        return f"""<tptz:GetStatusResponse><tptz:PTZStatus>
          <tt:Position><tt:PanTilt x="{now["pan"]:.5f}" y="{now["tilt"]:.5f}"/><tt:Zoom x="{now["zoom"]:.5f}"/></tt:Position>
          <tt:MoveStatus><tt:PanTilt>{state}</tt:PanTilt><tt:Zoom>{state}</tt:Zoom></tt:MoveStatus>
          </tptz:PTZStatus></tptz:GetStatusResponse>"""

    def AbsoluteMove(self, body):
        position = body.find(f"{{{TPTZ}}}Position")
        pan_tilt, zoom = position.find(f"{{{TT}}}PanTilt"), position.find(f"{{{TT}}}Zoom")
        goal = {"pan": float(pan_tilt.get("x")), "tilt": float(pan_tilt.get("y")), "zoom": float(zoom.get("x"))}
        if max(abs(goal["pan"]), abs(goal["tilt"])) > 1 or not 0 <= goal["zoom"] <= 1:
            raise Refused("the requested position is out of bounds")
        self.moving = True
        threading.Thread(target=self.move, args=(goal,), daemon=True).start()
        return "<tptz:AbsoluteMoveResponse/>"

    def GetVideoEncoderConfiguration(self, body):
        if body.findtext(f"{{{TRT}}}ConfigurationToken") != "enc0":
            raise Refused("the configuration does not exist")
        configuration = self.encoder("trt:Configuration")
        return f"<trt:GetVideoEncoderConfigurationResponse>{configuration}</trt:GetVideoEncoderConfigurationResponse>"

    def SetVideoEncoderConfiguration(self, body):
        configuration = body.find(f"{{{TRT}}}Configuration")
        for needed in ("Name", "Encoding", "Resolution", "Quality", "RateControl", "H264", "Multicast", "SessionTimeout"):
            if configuration.find(f"{{{TT}}}{needed}") is None:
                raise Refused(f"the configuration lacks {needed}")
        width = int(configuration.findtext(f"{{{TT}}}Resolution/{{{TT}}}Width"))
        height = int(configuration.findtext(f"{{{TT}}}Resolution/{{{TT}}}Height"))
        if (width, height) not in SIZES or body.findtext(f"{{{TRT}}}ForcePersistence") != "true":
            raise Refused("the parameters cannot be set")
        with self.lock:
            self.now.update(width=width, height=height)
            self.save()
        return "<trt:SetVideoEncoderConfigurationResponse/>"

    def answer(self, path, text):
        envelope = ET.fromstring(text)
        body = envelope.find(f"{{{S}}}Body")[0]
        space, name = body.tag[1:].split("}")
        self.before(name)
        service = {TDS: "/onvif/device_service", TRT: "/onvif/media_service", TPTZ: "/onvif/ptz_service"}.get(space)
        if service != path:
            raise Refused("this is not the service for that")
        if name != "GetSystemDateAndTime":
            self.check_login(envelope)
        if self.fault("refuses") == name:
            raise Refused("the device is busy")
        if self.fault("ignores") == name:
            return f'<x:{name}Response xmlns:x="{space}"/>'
        return getattr(self, name)(body)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    camera = None

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, body = 200, self.camera.answer(self.path, text)
        except Refused as why:
            status = 400
            body = f"""<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code>
              <s:Reason><s:Text xml:lang="en">{why}</s:Text></s:Reason></s:Fault>"""
        answer = f"""<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{S}" xmlns:tt="{TT}" xmlns:tds="{TDS}"
          xmlns:trt="{TRT}" xmlns:tptz="{TPTZ}"><s:Body>{body}</s:Body></s:Envelope>""".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/soap+xml; charset=utf-8")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def main():
    Handler.camera = Camera(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
    Handler.camera.ready(server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
