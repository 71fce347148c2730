"""Large frames: tiles give the bytes of the whole frame, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import PEAK
from numpy.typing import NDArray

from edgecae import Denoiser
from edgecae.denoise.tiling import KeptRows, border, plan
from edgecae.errors import SettingError

WHOLE = 10**9
SIDES = st.integers(1, 3000)


def noise_frame(height: int, width: int, *tail: int) -> NDArray[np.uint8]:
    """Anything that is left out of a tile's context shows in some pixel of noise."""
    return np.random.default_rng(1).integers(0, 256, (height, width, *tail), dtype=np.uint8)


@settings(deadline=None)
@given(
    SIDES,
    SIDES,
    st.sampled_from([1, 4, 8]),
    st.integers(0, 60),
    st.integers(1, 10**6),
    st.booleans(),
)
def test_a_plan_covers_each_pixel_once(
    h: int, w: int, stride: int, halo: int, area: int, bordered: bool
) -> None:
    around = border(stride, halo) if bordered else 0
    tiles = plan(h, w, stride, halo, area, around)
    for length, size, spans in ((h, tiles.height, tiles.rows), (w, tiles.width, tiles.columns)):
        padded = -(-(length + 2 * around) // stride) * stride - around
        assert size % stride == 0
        assert [s.first for s in spans] == [0, *(s.stop for s in spans[:-1])]
        assert spans[-1].stop == length
        for span in spans:
            end = span.start + size
            assert span.start % stride == 0
            assert -around <= span.start <= span.first < span.stop <= end <= padded
            assert span.start == -around or span.first - span.start >= halo
            assert end == padded or end - span.stop >= halo
            # What is mirrored beyond the frame's ends lies in the same tile.
            assert min(length, around) <= end or span.start >= 0
            assert max(0, length - (end - length)) >= span.start
    overlap = -(-halo // stride) * stride
    smallest = (2 * (overlap + stride)) ** 2
    assert tiles.height * tiles.width <= max(area, smallest)


def test_a_1080p_frame_stays_whole_and_2160p_becomes_quarters() -> None:
    with Denoiser() as denoiser:
        area = denoiser._largest_area
    assert plan(1080, 1920, 8, 27, area, 8).tiles == 1
    assert plan(1200, 1920, 8, 27, area, 8).tiles == 1
    quarters = plan(2160, 3840, 8, 27, area, 8)
    assert (len(quarters.rows), len(quarters.columns)) == (2, 2)
    assert quarters.tiles * quarters.height * quarters.width < 1.06 * 2160 * 3840


@pytest.mark.parametrize("size", [(501, 333), (160, 500), (500, 97)])
@pytest.mark.parametrize("area", [pytest.param(40_000, marks=pytest.mark.slow), 27_000])
def test_tiles_give_the_bytes_of_the_whole_frame(
    shipped: str, size: tuple[int, int], area: int
) -> None:
    frame = noise_frame(*size, 3)
    with Denoiser(shipped, largest_area=WHOLE) as whole, Denoiser(shipped, 2, "auto", 1, area) as d:
        expected = whole.process(frame)
        np.testing.assert_array_equal(d.process(frame), expected)
        assert d._plan.tiles > 1
        np.testing.assert_array_equal(d.process(frame, out=frame), expected, "in place")


@pytest.mark.parametrize("model", ["small", "base", "classic"])
def test_the_halo_is_needed_and_is_enough(model: str) -> None:
    """A pixel outside the halo changes nothing; a tile without its overlap is not the frame."""
    frame = noise_frame(320, 64, 3)
    with Denoiser(model) as denoiser:
        stride, halo = denoiser.metadata.stride, denoiser.metadata.halo
        before = denoiser.process(frame).astype(int)
        row = 160
        frame[row] ^= 0xFF
        touched = np.nonzero((denoiser.process(frame) != before).any(axis=(1, 2)))[0]
        assert row - halo <= touched.min() <= touched.max() <= row + halo
        frame[row] ^= 0xFF
        cut = 160 + stride
        assert (denoiser.process(frame[:cut])[: cut - stride] != before[: cut - stride]).any()


@pytest.mark.parametrize("tail", [(), (1,), (3,)])
@pytest.mark.parametrize("strength", [0.3, 1])
def test_tiled_gray_and_blended_frames(tail: tuple[int, ...], strength: float) -> None:
    frame = noise_frame(301, 270, *tail)
    with (
        Denoiser(strength=strength) as whole,
        Denoiser(strength=strength, largest_area=25_000) as tiled,
    ):
        expected = whole.process(frame)
        np.testing.assert_array_equal(tiled.process(frame), expected)
        np.testing.assert_array_equal(tiled.process(frame, out=frame), expected)


@pytest.mark.parametrize("area", [25_000, WHOLE])
def test_out_may_overlap_the_frame_in_any_way(area: int) -> None:
    memory = noise_frame(320, 256, 3)
    with Denoiser(strength=0.5, largest_area=area) as denoiser:
        for frame, out in (
            (memory[:300], memory[20:]),
            (memory[20:], memory[:300]),
            (memory, memory[::-1]),
        ):
            expected = denoiser.process(frame.copy())
            denoiser.process(frame, out=out)
            np.testing.assert_array_equal(out, expected)


def test_sizes_may_change_between_frames() -> None:
    with Denoiser(largest_area=25_000) as tiled, Denoiser(largest_area=WHOLE) as whole:
        for size in ((300, 200), (64, 64), (200, 300), (300, 200)):
            frame = noise_frame(*size, 3)
            np.testing.assert_array_equal(tiled.process(frame), whole.process(frame))


def test_kept_rows_are_those_from_before() -> None:
    frame = noise_frame(100, 7, 3)
    before, rows = frame.copy(), KeptRows()
    for _ in range(2):
        frame[:] = before
        rows.begin(40, frame)
        for start, stop in ((0, 40), (24, 64), (48, 88), (60, 100)):
            np.testing.assert_array_equal(rows.take(frame, start, stop), before[start:stop])
            frame[:stop] = 0


@pytest.mark.slow
@pytest.mark.parametrize("tail", [(), (3,)])
@pytest.mark.parametrize("strength", [0.5, 1])
def test_nothing_is_allocated_per_tiled_frame(tail: tuple[int, ...], strength: float) -> None:
    frame = noise_frame(480, 640, *tail)
    out = np.empty_like(frame)
    with Denoiser(strength=strength, largest_area=100_000) as denoiser:
        for target in (out, frame):
            denoiser.process(frame, out=target)
            denoiser.process(frame, out=target)
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            denoiser.process(frame, out=target)
            after, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            # numpy casts through a fixed buffer of 8192 elements.
            assert peak - before < 50_000
            assert after - before < 5_000


@pytest.mark.slow
def test_memory_is_bounded() -> None:
    """A frame of 8 Mpixel whole takes a gigabyte; in its own process, since memory stays taken."""
    code = PEAK + (
        "import numpy as np; from edgecae import Denoiser\n"
        "with Denoiser(threads=2, largest_area=640 * 480) as d:\n"
        "    d.process(np.zeros((480, 640, 3), np.uint8))\n"
        "    vga = peak()\n"
        "    frame = np.zeros((2160, 3840, 3), np.uint8)\n"
        "    d.process(frame, out=frame)\n"
        "print(vga, peak())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    vga, large = (int(n) / 1024 for n in done.stdout.split())
    frame = 2160 * 3840 * 3 / 2**20
    assert large < vga + 2.5 * frame


def test_an_area_of_nothing_is_refused() -> None:
    with pytest.raises(SettingError, match="largest_area"):
        Denoiser(largest_area=0)
