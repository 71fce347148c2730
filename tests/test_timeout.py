"""A call with a timeout: who owns a result that comes at the last moment."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from edgecae.timeout import PendingCalls, StillRunningError, call_with_timeout


class Device:
    """Something to close."""

    closed = False

    def close(self) -> None:
        self.closed = True


@contextlib.contextmanager
def busy_cores() -> Iterator[None]:
    """Threads take turns as often as can be while the block runs."""
    end, interval = threading.Event(), sys.getswitchinterval()

    def work() -> None:
        while not end.is_set():
            sum(range(100))

    workers = [threading.Thread(target=work) for _ in range(2)]
    sys.setswitchinterval(1e-6)
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        end.set()
        for worker in workers:
            worker.join()
        sys.setswitchinterval(interval)


@pytest.mark.slow
def test_a_result_at_the_deadline_has_one_owner() -> None:
    """What is returned is never closed, what is not returned always is."""
    seconds = 0.002
    devices: list[Device] = []

    def open_device() -> Device:
        device = Device()
        devices.append(device)
        time.sleep(seconds - 1e-4)  # both sides wake at about the same moment, in any order
        return device

    returned: set[Device] = set()
    with busy_cores():
        for _ in range(150):
            with contextlib.suppress(TimeoutError):
                returned.add(call_with_timeout(seconds, open_device, Device.close))
    end = time.monotonic() + 10
    late = [device for device in devices if device not in returned]
    while not all(device.closed for device in late) and time.monotonic() < end:
        time.sleep(0.01)
    assert all(device.closed for device in late)
    assert not any(device.closed for device in returned)
    assert len(devices) == 150


def test_what_comes_too_late_is_discarded() -> None:
    release, late = threading.Event(), threading.Event()
    with pytest.raises(TimeoutError):
        call_with_timeout(0.05, lambda: release.wait(10), lambda result: late.set())
    assert not late.is_set()
    release.set()
    assert late.wait(10)
    assert call_with_timeout(5, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        call_with_timeout(5, lambda: 1 // 0)


def test_no_call_is_made_while_an_earlier_one_with_its_key_runs() -> None:
    release, pending = threading.Event(), PendingCalls()
    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        call_with_timeout(0.05, lambda: release.wait(10), key="a", pending=pending)
    with pytest.raises(StillRunningError):
        call_with_timeout(5, lambda: 3, key="a", pending=pending)
    assert call_with_timeout(5, lambda: 3, key="b", pending=pending) == 3
    assert call_with_timeout(5, lambda: 3, key="a", pending=PendingCalls()) == 3
    release.set()
    end = time.monotonic() + 10
    while pending.running("a") and time.monotonic() < end:
        time.sleep(0.01)
    assert call_with_timeout(5, lambda: 3, key="a", pending=pending) == 3


def test_a_call_that_nobody_wants_any_more_is_given_up() -> None:
    release, closed = threading.Event(), threading.Event()
    start = time.monotonic()
    with pytest.raises(CancelledError):
        call_with_timeout(
            None,
            lambda: release.wait(30),
            lambda result: closed.set(),
            cancelled=lambda: time.monotonic() > start + 0.2,
        )
    assert time.monotonic() - start < 5
    release.set()
    assert closed.wait(10)


def test_a_timeout_of_the_call_itself_is_raised() -> None:
    def call() -> None:
        raise TimeoutError("of the device")

    with pytest.raises(TimeoutError, match="of the device"):
        call_with_timeout(5, call)
