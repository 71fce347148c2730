"""Several cameras in one process.

================  ======================================================================
:mod:`.settings`  the file that lists them, TOML (extra ``cameras``)
:mod:`.hours`     hours of the day in which a camera is active
:mod:`.camera`    one camera: a session that is begun again when it fails
:mod:`.supervisor`  all of them: starts, stops and watches them, takes up changes
:mod:`.fit`       whether this machine holds them
================  ======================================================================

Nothing is imported before it is used: a stream of one camera does without all of this.
"""
