"""Frames from a source, through a denoiser, to sinks, each in threads of their own.

===================  ===================================================================
:mod:`.session`      a whole stream from descriptions, as the command has them
:mod:`.pipeline`     ``run``: puts the rooms below together, and denoises
:mod:`.capture`      reads the source; opens a live one again when it goes away
:mod:`.channel`      what frames wait in between two threads, and who is dropped
:mod:`.sink_worker`  hands frames to one sink
:mod:`.stats`        counts and times
:mod:`.control`      what a viewer may see and change
:mod:`.watchdog`     notices when inference hangs, and tells the process that all is well
:mod:`.threads`      chooses threads and interpreters by measuring
:mod:`.overload`     says once that a device is too slow, and what would do
:mod:`.slate`        the picture that stands in for a camera that is away
===================  ===================================================================
"""

from edgecae.stream.pipeline import run
from edgecae.stream.stats import Stats
from edgecae.stream.stop import Stop, stop_on_signals
from edgecae.stream.watchdog import HungError, StreamHooks

__all__ = ["HungError", "Stats", "Stop", "StreamHooks", "run", "stop_on_signals"]
