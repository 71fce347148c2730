"""Short clips with motion made from photos, for networks that carry a state through time.

What such a network sees is the motion that is left after the state has been moved with the scene:
nothing before a camera on a stand, a tenth of a pixel for one in a hand, and everything for what
moves by itself. So a clip is drawn as that rest: a background that moves, turns and grows by
little, and often an object before it that moves by more. Now and then the scene is cut, or its
light changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

__all__ = ["Motion", "clip", "draw_motion"]

Pixels = NDArray[np.uint8]
Photo = Callable[[np.random.Generator, int], Pixels]
"""Draws a part of a photo, side×side×3 or what a small photo has."""

MARGIN = 16
"""Pixels that a part of a photo is larger than the clip at each side; motion beyond is mirrored."""

REDUCTION = 2
"""A moving picture is drawn so many times larger and averaged down: it stays as sharp wherever it
lies between two pixels."""

BLURRED = 0.45
"""Share of the layers that are out of focus, as much of what moves in videos is. Little of them
differs from frame to frame, and a gate must see it nevertheless."""

BLURS = 0.7, 6.0
"""Radius of the blur, pixels, between."""

OBJECTS = 0.55
"""Share of the clips that have an object before the background."""

MAX_BRIGHTNESS = 1.3


@dataclass(frozen=True)
class Motion:
    """Where a layer lies in each frame.

    Attributes:
        shifts: T×2, rows and columns, pixels.
        turn: radians that it turns between two frames.
        growth: natural logarithm of its growth between two frames.
    """

    shifts: NDArray[np.float64]
    turn: float = 0.0
    growth: float = 0.0

    @property
    def still(self) -> bool:
        """Whether all frames are the same."""
        return not (self.shifts.any() or self.turn or self.growth)


FOLLOWED = 0.3
"""Share of a camera's motions that are followed by parts of pixels; in strong noise or little
contrast, it is whole pixels."""

MISSED = 0.12
"""Pixels that a motion which is followed by parts of pixels is missed by, at most (σ)."""


def _rest(rng: np.random.Generator, shifts: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the states do not follow of a motion."""
    if rng.random() < FOLLOWED:
        return rng.normal(0, rng.uniform(0, MISSED), shifts.shape)
    return shifts - np.rint(shifts)


def draw_motion(rng: np.random.Generator, frames: int) -> Motion:
    """Draw what is left of a camera's motion: on a stand, in a hand, turning, past something near.

    Args:
        rng: decides all.
        frames: T.
    """
    time = np.arange(frames)[:, None]
    kind = rng.choice(5, p=(0.25, 0.25, 0.2, 0.2, 0.1))
    if kind == 0:
        shifts = np.zeros((frames, 2))
    elif kind == 1:
        speed = rng.uniform(0.1, 2.5)
        shifts = _rest(rng, np.cumsum(rng.normal(0, speed, (frames, 2)), axis=0))
    elif kind == 2:
        shifts = _rest(rng, time * rng.uniform(-4, 4, 2))
    elif kind == 3:
        shifts = time * rng.normal(0, 1, 2) * rng.choice([0.15, 0.5, 1.5, 4])
    else:
        shifts = np.cumsum(rng.normal(0, 0.15, (frames, 2)), axis=0)
    if rng.random() < 0.25:
        return Motion(shifts, rng.normal(0, 0.004), rng.normal(0, 0.004))
    return Motion(shifts)


def _layer(rng: np.random.Generator, photo: Photo, side: int, motion: Motion) -> NDArray[np.uint8]:
    """Draw the frames of one layer, T×side×side×3."""
    reduction = 1 if motion.still and rng.random() < 0.5 else REDUCTION
    source = photo(rng, (side + 2 * MARGIN) * reduction)
    if min(source.shape[:2]) < (side + 2 * MARGIN) * reduction:
        reduction = 1
    short = [max(0, (side + 2 * MARGIN) * reduction - length) for length in source.shape[:2]]
    beyond = reduction * max(0, int(np.ceil(np.abs(motion.shifts).max())) + 2 - MARGIN)
    around = ((beyond, beyond + short[0]), (beyond, beyond + short[1]), (0, 0))
    picture = Image.fromarray(np.pad(source, around, mode="symmetric"))
    if rng.random() < BLURRED:
        radius = float(np.exp(rng.uniform(*np.log(BLURS))))
        picture = picture.filter(ImageFilter.GaussianBlur(radius * reduction))
    count, first = len(motion.shifts), MARGIN * reduction + beyond
    if motion.still:
        return np.stack([_moved(picture, side, reduction, motion, 0, first)] * count)
    times = range(count)
    return np.stack([_moved(picture, side, reduction, motion, time, first) for time in times])


def _moved(
    picture: Image.Image, side: int, reduction: int, motion: Motion, time: int, first: int
) -> Pixels:
    """Draw one frame of a layer; without motion it begins at row and column ``first``."""
    large = side * reduction
    angle, zoom = motion.turn * time, np.exp(motion.growth * time)
    cosine, sine = np.cos(angle) * zoom, np.sin(angle) * zoom
    # Where a pixel of the frame comes from: around the middle, which moves.
    middle = np.array([large / 2, large / 2])
    source = middle + first + motion.shifts[time, ::-1] * reduction
    matrix = np.array([[cosine, -sine], [sine, cosine]])
    offset = source - matrix @ middle
    numbers = (*matrix[0], offset[0], *matrix[1], offset[1])
    filtering = Image.Resampling.BILINEAR if reduction > 1 else Image.Resampling.BICUBIC
    frame = picture.transform((large, large), Image.Transform.AFFINE, numbers, filtering)
    return np.asarray(frame.reduce(reduction) if reduction > 1 else frame)


def _outline(rng: np.random.Generator, side: int) -> Image.Image:
    """Draw the outline of an object, a polygon, in the middle of a picture of twice the side."""
    corners = int(rng.integers(3, 10))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = rng.uniform(0.05, 0.45) * side * rng.uniform(0.6, 1.2, corners)
    points = side + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    outline = Image.new("L", (2 * side, 2 * side))
    ImageDraw.Draw(outline).polygon([(float(x), float(y)) for x, y in points], fill=255)
    return outline


def _with_object(
    rng: np.random.Generator, photo: Photo, frames: Pixels, speeds: tuple[float, ...]
) -> Pixels:
    """Draw an object that moves by itself over a clip."""
    count, side = frames.shape[:2]
    path = np.arange(count)[:, None] * rng.normal(0, 1, 2) * rng.choice(speeds)
    appears = int(rng.integers(count)) if rng.random() < 0.3 else 0  # before: it lies still
    path[:appears] = path[appears]
    path -= path[count // 2]
    surface = _layer(rng, photo, side, Motion(np.zeros((1, 2))))[0]
    surface = Image.fromarray(np.pad(surface, ((side, side), (side, side), (0, 0)), "symmetric"))
    place = rng.uniform(0, side, 2)
    outline = _outline(rng, side)
    result = np.empty_like(frames)
    for time, (row, column) in enumerate(path + place):
        # The outline's middle comes to lie at the place; the surface goes with it.
        numbers = (1, 0, side - column, 0, 1, side - row)
        cover = outline.transform(
            (side, side), Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR
        )
        numbers = (1, 0, side + place[1] - column, 0, 1, side + place[0] - row)
        moved = surface.transform(
            (side, side), Image.Transform.AFFINE, numbers, Image.Resampling.BICUBIC
        )
        result[time] = np.asarray(Image.composite(moved, Image.fromarray(frames[time]), cover))
    return result


def _light(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw the brightness of each frame: flicker, a step, a slow change, or always 1."""
    kind = rng.choice(4, p=(0.84, 0.06, 0.06, 0.04))
    light = np.ones(count)
    if kind == 1:
        light = light + rng.normal(0, 0.03, count)
    elif kind == 2:
        light[int(rng.integers(1, count)) :] = rng.uniform(1 / MAX_BRIGHTNESS, MAX_BRIGHTNESS)
    elif kind == 3:
        light = np.linspace(1, rng.uniform(0.8, 1.2), count)
    return light


CUTS = 0.06
"""Share of the clips in which another scene begins."""

SPEEDS = (0.3, 1.0, 3.0, 8.0)
"""Pixels that an object moves between two frames, about."""


def clip(rng: np.random.Generator, photo: Photo, frames: int, side: int) -> Pixels:
    """Draw a clip without noise.

    Args:
        rng: decides all.
        photo: draws parts of photos.
        frames: how many, 2 or more.
        side: height and width of the clip, pixels.

    Returns:
        T×side×side×3, uint8.
    """
    result = _layer(rng, photo, side, draw_motion(rng, frames))
    if rng.random() < OBJECTS:
        result = _with_object(rng, photo, result, SPEEDS)
    if rng.random() < CUTS:
        cut = int(rng.integers(1, frames))
        result[cut:] = _layer(rng, photo, side, draw_motion(rng, frames))[cut:]
    light = _light(rng, frames)
    if (light == 1).all():
        return result
    return np.clip(np.rint(result * light[:, None, None, None]), 0, 255).astype(np.uint8)
