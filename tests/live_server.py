"""A process that serves video as cameras do: MJPEG over HTTP, MPEG-TS over HTTP, RTSP and UDP.

    python live_server.py FOLDER HTTP_PORT RTSP_PORT UDP_PORT

FOLDER holds clip.ts, blind.ts, clip.mkv and picture.jpg. Prints a line when it listens. User
``user``, password ``sesame`` where a path begins with ``/private``; RTSP always asks.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import itertools
import socket
import socketserver
import struct
import sys
import threading
import time
from pathlib import Path

FOLDER = Path(sys.argv[1])
PERIOD = 0.04
KEY = "Basic " + base64.b64encode(b"user:sesame").decode()

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"


class Web(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass

    def head(self, kind: str, length: int | None = None, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.end_headers()

    def do_GET(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.serve()

    def serve(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/private") and self.headers.get("Authorization") != KEY:
            self.head("text/plain", 0, 401)
        elif path.endswith("mjpeg"):
            picture = (FOLDER / "picture.jpg").read_bytes()
            self.head("multipart/x-mixed-replace; boundary=frame")
            part = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            cut = itertools.cycle([False, True] if "half" in path else [False])
            for is_cut in cut:  # as a camera whose network breaks off within a picture sends it
                sent = picture[: len(picture) * 2 // 3] if is_cut else picture
                self.wfile.write(part.replace(str(len(picture)), str(len(sent))).encode() + sent)
                self.wfile.write(b"\r\n")
                time.sleep(PERIOD)
        elif path.endswith(".html"):
            content = b"<html>a page, and no video</html>" * 99
            self.head("text/html", len(content))
            self.wfile.write(content)
        elif path.endswith("live.ts"):
            self.head("video/mp2t")
            for chunk in chunks():
                self.wfile.write(chunk)
        elif path.endswith("blind.ts"):  # sound goes on after the last picture, at about its pace
            self.head("video/mp2t")
            content = (FOLDER / "blind.ts").read_bytes()
            for start in range(0, len(content), 188):
                self.wfile.write(content[start : start + 188])
                time.sleep(0.01)
        elif path.endswith("half.mkv"):  # says how long it is, and stops half-way
            content = (FOLDER / "clip.mkv").read_bytes()
            self.head("video/x-matroska", len(content))
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            time.sleep(60)
        elif path.endswith(".m3u8"):
            target = self.path.partition("?")[2]
            content = PLAYLIST.format(target).encode()
            self.head("application/vnd.apple.mpegurl", len(content))
            self.wfile.write(content)
        elif path in ("/clip.mkv", "/clip.ts"):
            content = (FOLDER / path[1:]).read_bytes()
            self.head("application/octet-stream", len(content))
            self.wfile.write(content)
        else:
            self.head("text/plain", 0, 404)


def chunks():
    """MPEG-TS without end, seven packets of 188 bytes at a time."""
    content = (FOLDER / "clip.ts").read_bytes()
    while True:
        for start in range(0, len(content), 7 * 188):
            yield content[start : start + 7 * 188]
            time.sleep(PERIOD / 10)


class Rtsp(socketserver.StreamRequestHandler):
    """Just enough of RFC 2326: one stream, interleaved with the control connection."""

    def handle(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while head := self.request_head():
                self.answer(head)

    def request_head(self) -> list[str]:
        lines = []
        while (line := self.rfile.readline().decode(errors="replace").strip()) or not lines:
            if not line:
                return []
            lines.append(line)
        return lines

    def answer(self, head: list[str]) -> None:
        method, url, _ = head[0].split()
        fields = dict(line.split(": ", 1) for line in head[1:] if ": " in line)
        status, more, body = "200 OK", {}, ""
        if fields.get("Authorization") != KEY and method != "OPTIONS":
            status, more = "401 Unauthorized", {"WWW-Authenticate": 'Basic realm="camera"'}
        elif method == "OPTIONS":
            more = {"Public": "DESCRIBE, SETUP, PLAY, TEARDOWN"}
        elif method == "DESCRIBE":
            body = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\n"
            more = {"Content-Type": "application/sdp", "Content-Base": url + "/"}
        elif method == "SETUP":
            more = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        reply = {"CSeq": fields["CSeq"], "Session": "1", **more, "Content-Length": len(body)}
        lines = [f"RTSP/1.0 {status}", *(f"{key}: {value}" for key, value in reply.items())]
        self.wfile.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        if method == "PLAY" and status == "200 OK":
            for number, chunk in enumerate(chunks()):
                ticks = number * 360 % 2**32
                packet = struct.pack(">BBHII", 0x80, 33, number % 65536, ticks, 7) + chunk
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)


def send_datagrams(port: int) -> None:
    """Send MPEG-TS without end to a port of this machine, whether anybody listens or not."""
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        for chunk in chunks():
            sender.sendto(chunk, ("127.0.0.1", port))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


if __name__ == "__main__":
    address = "127.0.0.1"
    with (
        Server((address, int(sys.argv[2])), Web) as web,
        Server((address, int(sys.argv[3])), Rtsp) as rtsp,
    ):
        threading.Thread(target=rtsp.serve_forever, daemon=True).start()
        threading.Thread(target=send_datagrams, args=(int(sys.argv[4]),), daemon=True).start()
        print("listening", flush=True)
        web.serve_forever()
