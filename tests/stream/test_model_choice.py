"""``--model auto``: the best model for video that a machine holds."""

from __future__ import annotations

import time
from typing import Any

import pytest

from edgecae import models, stream
from edgecae.stream import model_choice
from edgecae.stream.model_choice import by_cost, choose_model
from edgecae.stream.session import Session

SIZE = 64, 48


class Timed:
    """In the place of a denoiser; takes so many seconds for a frame."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> Timed:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def process(self, frame: Any, out: Any) -> None:
        time.sleep(self._seconds)


def test_the_dearest_comes_first() -> None:
    names = by_cost()
    assert set(names) == set(models.video_names())
    assert names.index("small-video") < names.index("nano-video")


@pytest.mark.parametrize(
    ("rate", "small", "nano", "expected"),
    [
        (30, 0.01, 0.004, "small-video"),
        (30, 0.05, 0.004, "nano-video"),
        (30, 0.05, 0.2, "nano-video"),
        (None, 9.0, 9.0, "small-video"),
    ],
)
def test_what_holds_the_rate_is_chosen(
    rate: float | None, small: float, nano: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the cheapest where none does."""
    monkeypatch.setattr(model_choice, "_SECONDS", 0.1)
    seconds = {"small-video": small, "nano-video": nano}
    monkeypatch.setattr(model_choice, "by_cost", lambda: list(seconds))
    name, why = choose_model(SIZE, rate, 1, lambda name, threads: Timed(seconds[name]))
    assert name == expected
    assert "for video" in why or f"frames/s of {rate} at 64x48" in why


@pytest.mark.parametrize("live", [False, True])
def test_a_stream_chooses_and_says_which(live: bool) -> None:
    said: list[str] = []
    source = "test:64x48@5?frames=6&noise=gaussian:20" + "&live=yes" * live
    session = Session(source=source, sinks=["null:"], model="auto")
    control = session.run(stream.Stop(), said.append)
    assert control.stats.frames >= 1
    (chosen,) = [line for line in said if line.startswith("chosen: ")]
    assert any(f"chosen: {name} (" in chosen for name in models.video_names())
