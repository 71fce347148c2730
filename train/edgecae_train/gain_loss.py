"""What a gate learns from: how much worse its gains are than the best, which a clean clip tells.

A block's mean of earlier frames errs by what is left of their noise, k·σ², and by b², what the
scene has changed in it. With the gain g, the new mean errs by (1 − g)²·(b² + k·σ²) + g²·σ², which
is least where q = ln(1 + b²/(k·σ²)), as in a Kalman filter. The loss is the logarithm of the error
over the least one. No step of the training looks through the network for single frames: the loss
of its result is flat where there is no history yet, and a gate that is trained by that stays there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgecae_train._tf import tf
from edgecae_train.architectures.fusion import MIN_GAIN, fused
from edgecae_train.gate_layers import BLOCK

__all__ = ["best_gain", "errors", "gain_loss", "loss_of_gain"]

ROUNDING = 0.7 / 255
"""What is added to the noise: no picture of 8 bits has less."""
NEAR, AROUND = 3, 17
"""Blocks, each way, that a change is taken over, and the noise."""
NEARNESS = 0.5
"""Weight of the error of the gain's logarithm: the other loss hardly minds a gain of 1/16 in place
of 1/32, which in the long run doubles the noise."""
NEAR_ENOUGH = 0.02
"""Such an error that costs little."""


def _mean(x: Any, side: int) -> Any:
    """Mean over squares of blocks."""
    for shape in ([side, 1], [1, side]):
        x = tf.nn.avg_pool2d(x, shape, 1, "SAME")
    return x


def errors(clean: Any, mean: Any, noisy: Any, caution: float) -> tuple[Any, Any]:
    """Change and noise of each block.

    Args:
        clean: a frame without noise, in blocks, N×H/2×W/2×12 in [0, 1].
        mean: of the earlier frames without noise, with the gains that the noisy ones had, alike.
        noisy: the frame with noise, alike.
        caution: see :class:`edgecae_train.recipe.Recipe`.

    Returns:
        b² times ``caution``, and σ², each N×H/2×W/2×1.
    """
    change = tf.reduce_mean(tf.square(clean - mean), -1, keepdims=True)
    change = tf.maximum(_mean(change, NEAR), 0.25 * change)
    noise = _mean(tf.reduce_mean(tf.square(noisy - clean), -1, keepdims=True), AROUND)
    return caution * change, noise + ROUNDING**2


def best_gain(gain: Any, change: Any, noise: Any) -> Any:
    """The gain that leaves the least error.

    Args:
        gain: k before the frame, any shape, as all others.
        change: of :func:`errors`.
        noise: likewise.
    """
    before = change + gain * noise
    return before / (before + noise)


def loss_of_gain(logarithm: Any, gain: Any, change: Any, noise: Any) -> Any:
    """What a gain costs in comparison with the best one; 0 for that.

    Args:
        logarithm: of the gain that a block got, any shape, as all others.
        gain: k before the frame.
        change: of :func:`errors`.
        noise: likewise.
    """
    before, got = change + gain * noise, tf.exp(logarithm)
    best = best_gain(gain, change, noise)
    # With the best gain, the error is what a new frame weighs: best · σ².
    error = (tf.square(1 - got) * before + tf.square(got) * noise) / (best * noise)
    apart = logarithm - tf.math.log(best)
    near = tf.sqrt(tf.square(apart) + NEAR_ENOUGH**2) - NEAR_ENOUGH
    return tf.math.log(error) + NEARNESS * near


def _begun(noisy: Any, clean: Any, count: Any) -> tuple[Any, Any]:
    """Make the mean and the gain that a clip begins with.

    Where ``count`` is 1 the clip is the begin of a sequence. Else its scene has been still for so
    many frames before, whose noise is made of the last frame's.
    """
    count = tf.cast(count, tf.float32)[:, None, None, None]
    left = tf.reverse(noisy[:, -1] - clean[:, -1], [1, 2]) / tf.sqrt(count)
    mean = tf.where(count == 1, noisy[:, 0], clean[:, 0] + left)
    blocks = tf.nn.space_to_depth(mean, BLOCK)
    return blocks, tf.ones_like(blocks[..., :1]) / count


def _inside(strips: Any, height: int, width: int) -> Any:
    """Where no strip lies, N×height×width×1; strips are N×4: top, bottom, left, right."""
    top, bottom, left, right = (x[:, None] for x in tf.unstack(tf.cast(strips, tf.int32), axis=1))
    rows, columns = tf.range(height)[None], tf.range(width)[None]
    down = tf.logical_and(rows >= top, rows < height - bottom)[:, :, None, None]
    across = tf.logical_and(columns >= left, columns < width - right)[:, None, :, None]
    return tf.logical_and(down, across)


def gain_loss(gate: Any, frames: int, margin: int, caution: float) -> Callable[..., Any]:
    """Mean cost of the gains that a gate gives (:func:`loss_of_gain`), over all frames and blocks.

    Args:
        gate: of :func:`edgecae_train.architectures.gate.build`.
        frames: of a clip.
        margin: pixels at each side that count for nothing.
        caution: weight of what a scene has changed, see :class:`edgecae_train.recipe.Recipe`.

    Returns:
        A function of a batch of :class:`.data.clip_batches.ClipBatches`.
    """
    edge = margin // BLOCK

    def loss(noisy: Any, clean: Any, count: Any, led: Any, strips: Any) -> Any:
        noisy, clean = (tf.cast(x, tf.float32) / 255.0 for x in (noisy, clean))
        mean, gain = _begun(noisy, clean, count)
        clean_mean = tf.nn.space_to_depth(clean[:, 0], BLOCK)
        led = tf.cast(led, tf.bool)[:, None, None, None]
        inside = _inside(strips, *gain.shape[1:3])
        total = 0.0
        for time in range(frames):
            now, target = (tf.nn.space_to_depth(x[:, time], BLOCK) for x in (noisy, clean))
            mean, gain = tf.where(inside, mean, now), tf.where(inside, gain, 1.0)
            clean_mean = tf.where(inside, clean_mean, target)
            apart = errors(target, clean_mean, now, caution)
            _, logarithm, own = fused(gate, now, mean, gain)
            cost = loss_of_gain(logarithm, gain, *apart)
            if edge:
                cost = cost[:, edge:-edge, edge:-edge]
            total += tf.reduce_mean(cost)
            # Each frame is learned by itself: what it leaves is input for the next.
            best = tf.maximum(best_gain(gain, *apart), MIN_GAIN)
            gain = tf.stop_gradient(tf.where(led, best, own))
            mean += gain * (now - mean)
            clean_mean += gain * (target - clean_mean)
        return total / frames

    return loss
