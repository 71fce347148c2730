from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clips import frames_of, make_clip, sound_of
from PIL import Image, ImageCms, PngImagePlugin

from edgecae import Denoiser, stream
from edgecae.errors import SinkError, SourceError
from edgecae.media import images
from edgecae.stream import batch


def denoise(source: Path, target: Path, denoiser: Denoiser, **options) -> batch.Outcome:
    return batch.run_batch(batch.plan_batch([source], target), denoiser, **options)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1"])
def test_images_of_every_kind(
    mode: str, denoiser: Denoiser, photo: np.ndarray, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    image = Image.fromarray(photo[:61, :83]).convert("RGB" if mode in ("RGBA", "LA") else mode)
    ramp = Image.linear_gradient("L").resize(image.size)
    if mode in ("RGBA", "LA"):
        image = image.convert(mode)
        image.putalpha(ramp)
    image.save(source)
    denoise(source, target, denoiser)
    with Image.open(target) as result:
        assert result.mode == {"1": "L", "P": "RGB"}.get(mode, mode)
        assert result.size == image.size
        if mode in ("RGBA", "LA"):
            np.testing.assert_array_equal(result.getchannel("A"), ramp)
    base = "L" if mode in ("L", "LA", "1") else "RGB"
    expected = denoiser.process(np.array(image.convert(base)))
    np.testing.assert_array_equal(images.read(target).pixels, expected)


def test_transparency_of_a_palette_is_kept(
    denoiser: Denoiser, photo: np.ndarray, tmp_path: Path
) -> None:
    image = Image.fromarray(photo).quantize(16)
    image.save(tmp_path / "in.png", transparency=3)
    denoise(tmp_path / "in.png", tmp_path / "out.png", denoiser)
    with Image.open(tmp_path / "out.png") as result:
        alpha = np.array(result.getchannel("A"))
    np.testing.assert_array_equal(alpha == 0, np.array(image) == 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_exif_and_colour_profile_are_kept(
    suffix: str, denoiser: Denoiser, photo: np.ndarray, tmp_path: Path
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0110], exif[0x0112] = "a camera", 6  # model, and an orientation
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    Image.fromarray(photo[:60]).save(source, exif=exif, icc_profile=profile)
    denoise(source, target, denoiser)
    with Image.open(target) as result:
        assert result.info["icc_profile"] == profile
        assert result.getexif()[0x0110] == "a camera"
        if suffix == ".tif":  # Pillow itself turns TIFF upright
            assert result.size == (60, photo.shape[1])
        else:  # neither turned nor turned twice
            assert result.getexif()[0x0112] == 6
            assert result.size == (photo.shape[1], 60)


@pytest.fixture
def folder(photos: Path, tmp_path: Path) -> Path:
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    for index, file in enumerate(sorted(photos.glob("*.png"))[:4]):
        (source / ("deep" if index % 2 else ".") / file.name).write_bytes(file.read_bytes())
    return source


def test_a_folder_keeps_its_names(denoiser: Denoiser, folder: Path, tmp_path: Path) -> None:
    outcome = denoise(folder, tmp_path / "out", denoiser)
    assert outcome.done == outcome.frames == 4

    def below(path: Path) -> set[str]:
        return {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}

    assert below(tmp_path / "out") == below(folder)


def test_an_interrupted_folder_goes_on(denoiser: Denoiser, folder: Path, tmp_path: Path) -> None:
    out, stop = tmp_path / "out", stream.Stop()
    jobs = batch.plan_batch([folder], out)
    batch.run_batch(jobs[:2], denoiser)
    before = {job.target: job.target.stat().st_mtime_ns for job in jobs[:2]}
    stop.requested = True
    assert batch.run_batch(jobs, denoiser, stop=stop).stopped
    outcome = batch.run_batch(jobs, denoiser)
    assert (outcome.done, outcome.present) == (2, 2)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert batch.run_batch(jobs, denoiser, overwrite=True).done == 4


def test_a_bad_file_in_a_folder_is_named_and_passed_over(
    denoiser: Denoiser, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG no")
    (folder / "notes.txt").write_text("no picture")
    logging.getLogger("edgecae").propagate = True
    outcome = denoise(folder, tmp_path / "out", denoiser)
    assert outcome.done == 4
    assert len(outcome.failed) == 2
    assert "broken.png" in caplog.text
    assert "notes.txt" in caplog.text
    assert not (tmp_path / "out" / "broken.png").exists()
    assert not (tmp_path / "out" / "notes.txt").exists()


TIMES = [0, 1, 2, 5, 6, 9, 10, 11]
"""A clip whose frames don't come evenly."""


@pytest.fixture
def pictures(photo: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(photo[i : i + 96, 2 * i : 2 * i + 112]) for i in range(8)]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_video_keeps_frames_times_and_sound(
    suffix: str, denoiser: Denoiser, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    source = make_clip(tmp_path / "in.mkv", pictures, TIMES, sound=True)
    denoise(source, tmp_path / f"out{suffix}", denoiser)
    got, times = frames_of(tmp_path / f"out{suffix}")
    _, expected_times = frames_of(source)
    assert len(got) == len(pictures)
    np.testing.assert_allclose(times, expected_times, atol=1e-3)
    assert sound_of(tmp_path / f"out{suffix}") == sound_of(source) != []
    for picture, frame in zip(pictures, got, strict=True):  # in order, colours as they were
        expected = denoiser.process(picture).astype(float)
        assert np.abs(frame - expected).mean() < 6
        assert np.abs((frame - expected).mean((0, 1))).max() < 2


def test_a_lossless_video_is_exact(
    denoiser: Denoiser, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    odd = [p[:95, :111].copy() for p in pictures]
    source = make_clip(tmp_path / "in.mkv", odd)
    denoise(source, tmp_path / "out.mkv", denoiser, codec="ffv1")
    got, _ = frames_of(tmp_path / "out.mkv")
    for picture, frame in zip(odd, got, strict=True):
        np.testing.assert_array_equal(frame, denoiser.process(picture))


def test_odd_sizes_in_h264(denoiser: Denoiser, pictures: list[np.ndarray], tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", [p[:95, :111].copy() for p in pictures])
    denoise(source, tmp_path / "out.mp4", denoiser)
    assert frames_of(tmp_path / "out.mp4")[0][0].shape == (95, 111, 3)


def test_sound_that_the_container_can_not_hold_is_named(
    denoiser: Denoiser, pictures: list[np.ndarray], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    logging.getLogger("edgecae").propagate = True
    source = make_clip(tmp_path / "in.mkv", pictures, sound=True)
    denoise(source, tmp_path / "out.webm", denoiser)
    assert "left out: audio (aac)" in caplog.text
    assert len(frames_of(tmp_path / "out.webm")[0]) == 8


def test_a_video_that_is_cut_off_gives_what_is_there(
    denoiser: Denoiser, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    whole = make_clip(tmp_path / "whole.mkv", pictures).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    outcome = denoise(cut, tmp_path / "out.mkv", denoiser)
    assert 0 < outcome.frames < 8
    assert len(frames_of(tmp_path / "out.mkv")[0]) == outcome.frames


def test_of_two_that_make_one_video_the_second_fails(
    denoiser: Denoiser, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    """The first goes on undisturbed; its part is not touched."""
    source, target = make_clip(tmp_path / "in.mkv", pictures), tmp_path / "out" / "result.mkv"
    code = (
        "import sys\n"
        "from edgecae.commands.cli import main\n"
        f"sys.argv = ['edgecae', 'denoise', {str(source)!r}, '-o', {str(target)!r}]\n"
        "main()"
    )
    others: list[subprocess.CompletedProcess[str]] = []

    def report(stats: stream.Stats) -> None:
        if not others:
            others.append(
                subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            )

    outcome = denoise(source, target, denoiser, report=report)
    (other,) = others
    assert other.returncode == 1
    assert "result.mkv can't be written: another process is writing it" in other.stderr
    assert outcome.done == 1
    assert len(frames_of(target)[0]) == len(pictures)
    assert list(target.parent.iterdir()) == [target]
    assert denoise(source, target, denoiser, overwrite=True).done == 1


def test_wrong_inputs(denoiser: Denoiser, photos: Path, tmp_path: Path) -> None:
    text = tmp_path / "clip.mp4"
    text.write_text("this is not a video")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.new("CMYK", (8, 8)).save(tmp_path / "print.jpg")
    face, out = photos / "face.png", tmp_path / "out"
    Image.open(face).save(
        tmp_path / "moving.png", save_all=True, append_images=[Image.open(photos / "hat.png")]
    )
    wrong: list[tuple[list[Path], Path, type[Exception], str]] = [
        ([tmp_path / "none.png"], out / "x.png", SourceError, "does not exist"),
        ([text], out / "x.mp4", SourceError, "neither an image nor a video"),
        ([tmp_path / "empty.png"], out / "x.png", SourceError, "can't be read"),
        ([tmp_path / "print.jpg"], out / "x.jpg", SourceError, "mode CMYK"),
        ([tmp_path / "moving.png"], out / "x.png", SourceError, "several pictures"),
        ([face], out / "x.xyz", SinkError, "images are written as"),
        ([face, face], out, SinkError, "two inputs"),
        ([face, photos / "hat.png"], text, SinkError, "is a file"),
        ([photos], text, SinkError, "is a file"),
        ([photos], photos / "out", SinkError, "lies in the input folder"),
        ([face], text / "x.png", SinkError, "can't be written"),
        ([face], face, SinkError, "--overwrite"),
    ]
    for inputs, output, kind, message in wrong:
        with pytest.raises(kind, match=message):
            batch.run_batch(batch.plan_batch(inputs, output), denoiser)
    assert not list(tmp_path.rglob("x.*"))
    assert text.read_text() == "this is not a video"


def test_png_text_does_not_stop_an_image(
    denoiser: Denoiser, photo: np.ndarray, tmp_path: Path
) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "hello")
    Image.fromarray(photo).save(tmp_path / "in.png", pnginfo=info)
    assert denoise(tmp_path / "in.png", tmp_path / "out.png", denoiser).done == 1


def test_a_folder_with_bad_files_is_done_without_them(
    denoiser: Denoiser, pictures: list[np.ndarray], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """As a folder and as a list of its files; again on a rerun."""
    logging.getLogger("edgecae").propagate = True
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    picture = Image.fromarray(pictures[0])
    good = ["a.png", "z.jpg", "n" * 249 + ".png", "ü" * 124 + ".png"]
    for name in good:
        picture.save(source / name)
    jpeg = (source / "z.jpg").read_bytes()
    (source / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (source / "drawing.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    transparent = picture.convert("RGBA")
    transparent.putalpha(128)
    transparent.save(source / "alpha.jpg", "PNG")
    (source / "dead.png").symlink_to(tmp_path / "none.png")
    bad = {"cut.jpg", "drawing.svg", "alpha.jpg", "dead.png"}
    for inputs in ([source], sorted(source.iterdir())):
        for done in (len(good), 0):
            outcome = batch.run_batch(batch.plan_batch(inputs, out), denoiser)
            assert outcome.done == done
            assert {n for n in bad if any(n in line for line in outcome.failed)} == bad
            assert len(outcome.failed) == len(bad)
        assert {path.name for path in out.iterdir()} == set(good)
        for path in out.iterdir():
            path.unlink()
    assert all(name in caplog.text for name in bad)


def test_a_video_with_a_long_name_is_done(
    denoiser: Denoiser, pictures: list[np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    make_clip(tmp_path / "a.mkv", pictures).rename(tmp_path / "in" / f"{'v' * 249}.mkv")
    assert denoise(tmp_path / "in", tmp_path / "out", denoiser).done == 1


def test_linked_folders_are_followed_once(
    denoiser: Denoiser, folder: Path, photo: np.ndarray, tmp_path: Path
) -> None:
    elsewhere, out = tmp_path / "elsewhere", folder / "deep" / "out"
    elsewhere.mkdir()
    Image.fromarray(photo[:32, :32]).save(elsewhere / "more.png")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "again").symlink_to(folder)
    (elsewhere / "loop").symlink_to(folder / "deep")
    jobs = batch.plan_batch([folder], tmp_path / "out")
    targets = sorted(str(job.target.relative_to(tmp_path / "out")) for job in jobs)
    assert len(targets) == 5
    assert "linked/more.png" in targets
    (folder / "results").symlink_to(tmp_path / "out")
    assert batch.run_batch(jobs, denoiser).done == 5
    assert len(batch.plan_batch([folder], tmp_path / "out")) == 5
    with pytest.raises(SinkError, match="lies in the input folder"):
        batch.plan_batch([folder], out)
