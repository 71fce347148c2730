"""A process that takes a stream by RTSP's RECORD and hands it on by PLAY, as mediamtx does.

    /usr/bin/python3 rtsp_relay.py PORT [basic|digest]

Publish to ``/in``, read from ``/out``; a user ``camera`` with the password ``sesame:x`` where the
way of asking for it is given. Prints the port when it listens, then ``publishing`` and ``gone``. It
needs the system's Python with gir1.2-gst-rtsp-server-1.0 and gstreamer1.0-plugins-{good,bad,ugly}.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402

USER, PASSWORD = "camera", "sesame:x"

TAKES = (
    "( rtph264depay name=depay0 ! h264parse"
    " ! video/x-h264,stream-format=byte-stream,alignment=au"
    " ! appsink name=video emit-signals=true sync=false async=false"
    " rtpmp4gdepay name=depay1 ! aacparse"
    " ! appsink name=audio emit-signals=true sync=false async=false )"
)
GIVES = (
    "( appsrc name=video is-live=true format=time do-timestamp=false"
    " ! h264parse ! rtph264pay name=pay0 pt=96"
    " appsrc name=audio is-live=true format=time do-timestamp=false"
    " ! aacparse ! rtpmp4gpay name=pay1 pt=97 )"
)
KINDS = ("video", "audio")


class Relay:
    """What was published last, and who reads it."""

    def __init__(self, sound: bool) -> None:
        self.kinds = KINDS[: 1 + sound]
        self.readers: list[Reader] = []

    def on_record(self, _: object, media: GstRtspServer.RTSPMedia) -> None:
        for kind in self.kinds:
            sink = media.get_element().get_by_name(kind)
            sink.connect("new-sample", self.on_sample, kind)
        media.connect("prepared", lambda _: print("publishing", flush=True))
        media.connect("unprepared", lambda _: print("gone", flush=True))

    def on_sample(self, sink: GstApp.AppSink, kind: str) -> Gst.FlowReturn:
        sample = sink.emit("pull-sample")
        for reader in list(self.readers):
            if not reader.take(sample, kind):
                self.readers.remove(reader)
        return Gst.FlowReturn.OK

    def on_play(self, _: object, media: GstRtspServer.RTSPMedia) -> None:
        self.readers.append(Reader(media.get_element(), self.kinds))


class Reader:
    """A pipeline that hands samples on, with times of its own clock."""

    def __init__(self, element: Gst.Element, kinds: tuple[str, ...]) -> None:
        self.sources = {kind: element.get_by_name(kind) for kind in kinds}
        self.shift: int | None = None  # the same for both: sound keeps its place

    def take(self, sample: Gst.Sample, kind: str) -> bool:
        source, taken = self.sources[kind], sample.get_buffer()
        if taken.pts == Gst.CLOCK_TIME_NONE:  # the parser has not found its place yet
            return True
        if self.shift is None:
            clock = source.get_clock()
            now = clock.get_time() - source.get_base_time() if clock else 0
            # Sound and pictures come one after the other: none may lie before the begin.
            self.shift = now - taken.pts + (Gst.SECOND // 2 if len(self.sources) > 1 else 0)
        given = taken.copy()
        given.pts = max(0, taken.pts + self.shift)
        given.dts = given.pts
        source.set_property("caps", sample.get_caps())
        return source.emit("push-buffer", given) == Gst.FlowReturn.OK


def half(description: str, sound: bool) -> str:
    """The description without its sound."""
    marks = " rtpmp4gdepay", " appsrc name=audio"
    if sound:
        return description
    return min((description.partition(mark)[0] for mark in marks), key=len) + " )"


if __name__ == "__main__":
    Gst.init(None)
    port, *more = sys.argv[1:]
    sound = "sound" in more
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
    server.get_thread_pool().set_max_threads(8)  # a reader waits for pictures of the publisher
    relay = Relay(sound)
    takes, gives = GstRtspServer.RTSPMediaFactory(), GstRtspServer.RTSPMediaFactory()
    takes.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    takes.set_launch(half(TAKES, sound))
    # Servers hand on at once. With sound, the jitter buffer waits, and drops nothing that is late.
    takes.set_latency(2000 if sound else 0)
    takes.connect("media-configure", relay.on_record)
    gives.set_launch(half(GIVES, sound))
    gives.set_shared(True)
    gives.set_latency(0)
    gives.connect("media-configure", relay.on_play)
    if {"basic", "digest"} & set(more):
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        if "digest" in more:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(USER, PASSWORD, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(USER, PASSWORD), token)
        server.set_auth(auth)
        roles = Gst.Structure.new_empty("user")
        roles.set_value("media.factory.access", True)
        roles.set_value("media.factory.construct", True)
        for factory in (takes, gives):
            factory.add_role_from_structure(roles)
    mounts = server.get_mount_points()
    mounts.add_factory("/in", takes)
    mounts.add_factory("/out", gives)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()
