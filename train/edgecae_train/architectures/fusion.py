"""Recurrent networks: a running mean of the frames, a gate, and a network for single frames.

The running mean z of the noisy frames y, and for each block of 2×2 pixels the gain k of a frame::

    k ← σ(ln k + q)        z ← z + k · (y − z)

q ≥ 0 is what the gate says. While it is 0, k is 1/2, 1/3, 1/4 …, and z the mean of the frames: the
Kalman filter of a still scene without process noise. The network for single frames denoises z.
Which is fusing before denoising (Maggioni et al., "Efficient Multi-Stage Video Denoising with
Recurrent Spatio-Temporal Fusion", 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.denoise.float_runner import Denoise
from edgecae_train._tf import tf
from edgecae_train.architectures import gate
from edgecae_train.architectures.links import Link
from edgecae_train.gate_layers import AMPLIFIED, BLOCK, MAX_Q, Layer, pyramid

__all__ = ["MIN_GAIN", "Fusion", "clip_denoiser", "fused"]

MIN_GAIN = 9 / 256
"""Below which the int8 gain does not fall."""
MAX_DIFFERENCE = 127 / 255
"""Of what the gate sees and of what is added to the mean exactly."""


def fused(
    gate_network: Any, noisy: Any, mean: Any, gain: Any, boost: float = 1.0
) -> tuple[Any, Any, Any]:
    """One step of the recursion.

    Args:
        gate_network: of :func:`.gate.build`.
        noisy: a frame in blocks (space-to-depth by 2), N×H/2×W/2×12 in [0, 1].
        mean: z before it, alike.
        gain: k before it, N×H/2×W/2×1.
        boost: see :class:`Fusion`.

    Returns:
        z after it, the logarithm of the gain that it had, and that gain, within [9/256, 1].
    """
    difference = noisy - mean
    seen = AMPLIFIED * tf.clip_by_value(difference, -MAX_DIFFERENCE, MAX_DIFFERENCE)
    q = tf.minimum(boost * gate_network([seen, tf.abs(seen), mean, gain]), MAX_Q)
    logarithm = -tf.nn.softplus(-(tf.math.log(gain) + q))
    new = tf.clip_by_value(tf.exp(logarithm), MIN_GAIN, 1.0)
    return mean + new * difference, logarithm, new


def clip_denoiser(gate_network: Any, still: Denoise, boost: float = 1.0) -> Denoise:
    """Make a gate and a denoiser of single frames a denoiser of clips.

    It does not follow the motion of the whole picture, as the runtime does.

    Args:
        gate_network: of :func:`.gate.build`.
        still: denoises what the runtime gives it: z in whole levels.
        boost: see :class:`Fusion`.

    Returns:
        A function of clips, uint8, T×H×W×3, H and W multiples of the gate's stride.
    """
    blocks = [tf.TensorSpec([1, None, None, channels]) for channels in (3 * BLOCK**2, 1)]
    frame = tf.TensorSpec([1, None, None, 3])

    @tf.function(input_signature=[frame, *blocks], autograph=False)  # type: ignore[untyped-decorator]
    def step(noisy: Any, mean: Any, gain: Any) -> tuple[Any, Any, Any]:
        mean, _, gain = fused(gate_network, tf.nn.space_to_depth(noisy, BLOCK), mean, gain, boost)
        return tf.nn.depth_to_space(mean, BLOCK), mean, gain

    def denoise(clip: NDArray[np.uint8]) -> NDArray[np.uint8]:
        frames = clip[:, None].astype(np.float32) / np.float32(255)
        mean = tf.nn.space_to_depth(tf.constant(frames[0]), BLOCK)
        gain = tf.ones_like(mean[..., :1])
        results = []
        for noisy in frames:
            plane, mean, gain = step(tf.constant(noisy), mean, gain)
            levels = np.clip(np.rint(plane[0].numpy() * 255), 0, 255)
            results.append(still(levels.astype(np.uint8)))
        return np.stack(results)

    return denoise


@dataclass(frozen=True)
class Fusion:
    """A gate before a model for single frames, which begins with a space-to-depth by 2.

    Attributes:
        still: name of that model: one that comes with edgecae. It is not trained.
        width: channels of the gate at a quarter of the resolution.
        low: channels of the gate below.
        boost: what q is multiplied by when frames are denoised, not while the gate is trained. One
            that is unsure says something between, and a wrong mean is seen where a short history
            is not. It costs a part of what still scenes gain.
    """

    still: str
    width: int = 8
    low: int = 12
    boost: float = 1.5

    kind = "fusion"
    loss = "gain"
    stride = 32

    @property
    def links(self) -> tuple[Link, ...]:
        """None: see :class:`edgecae_train.architectures.Architecture`."""
        return ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Of the gate."""
        return pyramid(self.width, self.low)

    def build(self, policy: str = "float32", training: bool = True, leak: Any = None) -> Any:  # noqa: ARG002
        """Build the gate, always in float32; see :func:`.gate.build`."""
        return gate.build(self.layers, leak)
