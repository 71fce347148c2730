"""What rounding costs before any QAT: kernels rounded to the nearest, then so that errors cancel,
and of a network whose channels were equalized before.

    python benchmarks/rounding.py RUN [DATA]

Prints the loss of PSNR against the float network on the run's held-out images, dB.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from evaluate import SIGMAS
from numpy.typing import NDArray

from edgecae import noise
from edgecae_train import evaluate, recipe, weights
from edgecae_train.data.batches import Batches
from edgecae_train.data.images import open_images
from edgecae_train.quantization.equalize import equalize
from edgecae_train.quantization.quantize import Calibration, calibrate, quantize
from edgecae_train.run import CALIBRATION_BATCHES


def main(run: Path, data: str | None) -> None:
    """Print a line for each way to round."""
    settings = recipe.read(run / "recipe.toml")
    architecture, _, values = weights.read_weights(run / "float.weights.h5")
    network = architecture.build(training=False)
    weights.load_weights(network, values)
    images = open_images(data or settings.data, settings.qat.patch, settings.seed)
    model = noise.parse(settings.noise)
    noises = [noise.gaussian(sigma) for sigma in SIGMAS]
    held_out = evaluate.held_out(images.held_out(), architecture.stride, noises)
    patches = settings.qat.batch, settings.qat.patch, settings.seed * 2 + 1
    batches = Batches(images, model, *patches, gray=settings.gray, flat=settings.flat)

    def noisy() -> Iterator[NDArray[np.float32]]:
        for step in range(CALIBRATION_BATCHES):
            yield np.asarray(batches.at(step)[0] / 255, np.float32)

    reference = held_out.measure(evaluate.keras_denoiser(network, architecture.stride))
    print(f"{'rounding':<28}" + "".join(f"{spec:>14}" for spec in reference))

    def show(name: str, calibration: Calibration) -> None:
        twin = quantize(architecture, calibration, network)
        measured = held_out.measure(evaluate.keras_denoiser(twin, architecture.stride))
        losses = [reference[spec] - measured[spec] for spec in reference]
        print(f"{name:<28}" + "".join(f"{loss:>14.3f}" for loss in losses), flush=True)

    calibration = calibrate(network, noisy())
    # Where what is read does not hang together, each weight is rounded for itself.
    apart = {name: np.eye(m.shape[-1]) + 0 * m for name, m in calibration.moments.items()}
    show("nearest", replace(calibration, moments=apart))
    show("errors cancel", calibration)
    equalize(network, architecture.links, noisy())
    show("errors cancel, equalized", calibrate(network, noisy()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
