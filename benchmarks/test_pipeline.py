"""Does the input pipeline keep up? Steps with fresh batches against steps on one cached batch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecae import noise
from edgecae_train import architectures, devices
from edgecae_train.data.batches import Batches, prefetch
from edgecae_train.data.images import BUILTIN, open_images
from edgecae_train.phase import Phase, picture_loss

STEPS, ROUNDS = 60, 5
SHARE = 0.9
TESTS = Path(__file__).parent.parent / "tests"


CAMERA = "0.4*gaussian:0-55 + 0.6*camera:"


@pytest.mark.parametrize(
    ("images", "spec"),
    [("folder", "gaussian:0-55"), ("builtin", "gaussian:0-55"), ("folder", CAMERA)],
)
def test_the_pipeline_keeps_up(benchmark: Any, images: str, spec: str) -> None:
    """At least 90 % of the step rate on one cached batch, by the medians of interleaved runs."""
    chosen = devices.choose()
    architecture = architectures.get("small")
    with chosen.strategy.scope():
        network = architecture.build(chosen.policy)
        averaged = architecture.build(training=False)
        loss = picture_loss(network, architecture.loss)
        phase = Phase(network, averaged, chosen.strategy, loss, "muon", 1.0, 0.999)
    source = str(TESTS / "data") if images == "folder" else BUILTIN
    batches = Batches(open_images(source, 112, 0), noise.parse(spec), batch=8, patch=112, seed=0)
    cached = batches.at(0)
    for step in range(300):  # fill the window of images, as the first minute of a training does
        batches.at(step)
    position = 0

    def on_cached() -> float:
        begin = time.perf_counter()
        for step in range(STEPS):
            loss = phase.step(phase.place(cached), 1e-3, step)
        float(loss)
        return STEPS / (time.perf_counter() - begin)

    def on_fresh() -> float:
        nonlocal position
        begin = time.perf_counter()
        with prefetch(batches, position, position + STEPS) as items:
            for step, batch in enumerate(items):
                loss = phase.step(phase.place(batch), 1e-3, step)
        float(loss)
        position += STEPS
        return STEPS / (time.perf_counter() - begin)

    on_cached(), on_fresh()
    rates = [(on_cached(), on_fresh()) for _ in range(ROUNDS)]
    share = float(np.median([fresh / steady for steady, fresh in rates]))
    benchmark.extra_info.update(
        cached_steps_per_second=round(float(np.median([r[0] for r in rates])), 2),
        fresh_steps_per_second=round(float(np.median([r[1] for r in rates])), 2),
        share=round(share, 4),
    )
    print(f"\n{images}: {share:.1%} of the rate on one cached batch ({chosen.description})")
    benchmark.pedantic(on_fresh, rounds=1)
    assert share >= SHARE
