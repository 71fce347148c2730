"""Run a Keras network on frames, and measure it on held-out images in the 8-bit protocol."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise import tiling
from edgecae.denoise.float_runner import Denoise, frame_denoiser
from edgecae.errors import RecipeError
from edgecae.noise import Mixture, Noise, PoissonGaussian, gaussian
from edgecae.quality import psnr
from edgecae_train import shipped
from edgecae_train import weights as weights_files
from edgecae_train._tf import tf
from edgecae_train.architectures.fusion import Fusion

__all__ = [
    "Denoise",
    "HeldOut",
    "flat_psnr",
    "float_denoiser",
    "float_network",
    "held_out",
    "held_out_pairs",
    "keras_denoiser",
    "levels",
]

Pixels = NDArray[np.uint8]


def keras_denoiser(model: Any, stride: int = 1, border: int | None = None) -> Denoise:
    """Wrap a network for frames of 8 bits.

    Args:
        model: N×H×W×3 in [0, 1] to the same.
        stride: frames are padded to multiples of this, as the runtime does it.
        border: pixels that are mirrored at each side, a multiple of the stride; None: what the
            runtime adds for a network of a large halo.
    """

    run = tf.function(
        lambda frame: tf.cast(model(frame, training=False), tf.float32),
        input_signature=[tf.TensorSpec([1, None, None, 3], tf.float32)],
        autograph=False,
    )
    around = tiling.border(stride, tiling.BORDER) if border is None else border
    return frame_denoiser(lambda frame: np.asarray(run(tf.constant(frame))), stride, around)


@dataclass(frozen=True)
class HeldOut:
    """Held-out images with noise on them that is the same at every measurement.

    Attributes:
        pairs: noisy image and target, each uint8, H×W×3, by the noise's name.
    """

    pairs: Mapping[str, tuple[tuple[Pixels, Pixels], ...]]

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(next(iter(self.pairs.values())))

    def measure(self, denoise: Denoise | None) -> dict[str, float]:
        """Mean PSNR in dB by noise; of the noisy images themselves where ``denoise`` is None."""
        return {
            spec: float(
                np.mean(
                    [
                        psnr(target, noisy if denoise is None else denoise(noisy))
                        for noisy, target in pairs
                    ]
                )
            )
            for spec, pairs in self.pairs.items()
        }


def flat_psnr(denoise: Denoise, side: int = 24) -> float:
    """PSNR in dB over frames of one colour each, without noise.

    The squared error of rounding to 8 bits is added: what is perfect has 58.9 dB.

    Args:
        denoise: what is measured.
        side: of a frame, in pixels.
    """
    rng = np.random.default_rng(0)
    colours = [np.array(c, np.uint8) for c in itertools.product((0, 128, 255), repeat=3)]
    colours += list(rng.integers(0, 256, (37, 3), dtype=np.uint8))
    error = 0.0
    for colour in colours:
        frame = np.empty((side, side, 3), np.uint8)
        frame[:] = colour
        error += float(np.mean((denoise(frame).astype(np.float64) - frame) ** 2))
    return float(10 * np.log10(255.0**2 / (error / len(colours) + 1 / 12)))


def levels(noise: Noise, sigmas: Sequence[float] = (5, 15, 25, 50)) -> list[Noise]:
    """The Gaussian levels that a noise model spans, or where there are none the model itself.

    Of a mixture, those of all its kinds.
    """
    if isinstance(noise, Mixture):
        return [level for kind in noise.kinds for level in levels(kind, sigmas)]
    if not isinstance(noise, PoissonGaussian) or noise.gain != (0, 0):
        return [noise]
    low, high = noise.read
    return [gaussian(s) for s in sigmas if low <= s <= high] or [noise]


def _cropped(image: Pixels, stride: int) -> Pixels:
    height, width = (side // stride * stride for side in image.shape[:2])
    return np.ascontiguousarray(image[:height, :width])


def held_out(images: Sequence[Pixels], stride: int, noises: Sequence[Noise]) -> HeldOut:
    """Prepare held-out images for measuring.

    Args:
        images: clean, uint8, H×W×3; cropped at the right and the bottom to multiples of
            ``stride``.
        stride: of the network.
        noises: what to measure at.
    """
    clean = tuple(_cropped(image, stride) for image in images)
    pairs = {}
    for noise in noises:
        rng = np.random.default_rng(0)
        pairs[noise.name] = tuple(noise.pair(image, rng) for image in clean)
    return HeldOut(pairs)


def held_out_pairs(pairs: Sequence[tuple[Pixels, Pixels]], stride: int, name: str) -> HeldOut:
    """Prepare noisy pictures and their targets for measuring.

    Args:
        pairs: uint8, H×W×3; cropped at the right and the bottom to multiples of ``stride``.
        stride: of the network.
        name: of the figure.
    """
    return HeldOut(
        {name: tuple((_cropped(noisy, stride), _cropped(clean, stride)) for noisy, clean in pairs)}
    )


def float_denoiser(weights: str | Path) -> Denoise:
    """The float network of weights on frames of 8 bits.

    Args:
        weights: name of a shipped model, a run directory or a weights file.

    Raises:
        RecipeError: there are no such weights.
    """
    network, stride = float_network(weights)
    return keras_denoiser(network, stride)


def float_network(weights: str | Path) -> tuple[Any, int]:
    """The float network of weights, N×H×W×3 in [0, 1] to the same, and its stride.

    Args:
        weights: see :func:`float_denoiser`.

    Raises:
        RecipeError: there are no such weights.
    """
    architecture, _, values = weights_files.read_weights(shipped.find_weights(weights))
    if isinstance(architecture, Fusion):
        raise RecipeError(f"{weights} is a gate, which has no network for single frames")
    network = architecture.build(training=False)
    weights_files.load_weights(network, values)
    return network, architecture.stride
