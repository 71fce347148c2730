from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from autoencoder import edgecae
from conftest import DATA

from edgecae.bench import pca
from edgecae.quality import psnr


@pytest.mark.slow
def test_as_many_components_as_numbers_lose_nothing(photo: np.ndarray) -> None:
    odd = np.ascontiguousarray(photo[:141, :99])
    np.testing.assert_array_equal(pca.fit_pca([photo], 4, 48)(odd), odd)


@pytest.mark.slow
def test_more_components_lose_less_and_what_is_flat_stays_so(photo: np.ndarray) -> None:
    quality = [psnr(photo, pca.fit_pca([photo], 4, components)(photo)) for components in (1, 4, 16)]
    assert quality == sorted(quality)
    assert quality[0] > 15
    flat = np.full((8, 8, 3), 90, np.uint8)
    assert np.ptp(pca.fit_pca([photo], 8, 1)(flat), axis=(0, 1)).max() < 15


def test_bench_compares_an_autoencoder_with_pca(codec: Path, tmp_path: Path) -> None:
    photos, kept_apart = tmp_path / "photos", tmp_path / "apart"
    for folder, name in ((photos, "hat.png"), (kept_apart, "face.png")):
        folder.mkdir()
        shutil.copy(DATA / name, folder)
    both = "--halves", codec / "encoder.tflite", codec / "decoder.tflite"
    done = edgecae("bench", "--pca", photos, *both, "--quality", kept_apart, "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(row["method"], row["sigma"]) for row in rows] == [
        (name, sigma) for sigma in (0, 25) for name in ("PCA 4×4", "PCA 8×8", "classic")
    ]
    assert {row["per_pixel"] for row in rows} == {0.25}
    assert rows[1]["psnr"] > rows[0]["psnr"] > rows[3]["psnr"]
    assert all(row["mse"] > 0 for row in rows)
    assert "PCA 8×8" in pca.format_table([pca.Reconstruction(**row) for row in rows])
    done = edgecae("bench", "--pca", photos)
    assert done.returncode == 2
    assert "go together" in done.stderr
    done = edgecae("bench", "--pca", photos, *both, "--quality", kept_apart, "--peers")
    assert done.returncode == 2
    assert "goes with no other" in done.stderr


def test_encoder_and_decoder_of_two_models_are_refused(codec: Path, tmp_path: Path) -> None:
    content = (codec / "decoder.tflite").read_bytes()
    at = content.index(b'"whole": "') + 10
    other = bytes([ord("0") if content[at] != ord("0") else ord("1")])
    (tmp_path / "other.tflite").write_bytes(content[:at] + other + content[at + 1 :])
    with pytest.raises(ValueError, match="not split from one model"):
        pca.compare_with_pca((codec / "encoder.tflite", tmp_path / "other.tflite"), DATA, [DATA])
