"""A process that serves the H.264 and AAC of a Matroska file by RTSP, each as a track.

    /usr/bin/python3 gstreamer_server.py FILE

Prints the port when it listens; the path is ``/stream``. It needs the system's Python with
gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good and gstreamer1.0-plugins-bad.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

if __name__ == "__main__":
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service="0")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( filesrc location={sys.argv[1]} ! matroskademux name=tracks"
        " tracks.video_0 ! queue ! h264parse ! rtph264pay name=pay0"
        " tracks.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 )"
    )
    server.get_mount_points().add_factory("/stream", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()
