"""Denoise a folder of pictures in parallel, with one process and one denoiser per worker.

python examples/folder_parallel.py noisy/ clean/ --workers 4
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from edgecae import Denoiser
from edgecae.errors import EdgecaeError
from edgecae.media import images

_denoiser: Denoiser | None = None


def start_worker(model: str) -> None:
    """Open this process's own denoiser. A denoiser serves one worker at a time."""
    global _denoiser
    _denoiser = Denoiser(model, threads=1)


def denoise_file(path: Path, folder: Path) -> str | None:
    """Denoise one file into ``folder``. Return the error, or None where there was none."""
    assert _denoiser is not None  # start_worker has run in this process
    try:
        picture = images.read(path)
        clean = dataclasses.replace(picture, pixels=_denoiser.process(picture.pixels))
        images.write(folder / path.name, clean)
    except EdgecaeError as error:
        return str(error)
    return None


def main() -> None:
    """Denoise all pictures of a folder. Exit with status 1 where one failed."""
    parser = argparse.ArgumentParser(description="Denoise a folder of pictures in parallel.")
    parser.add_argument("source", type=Path, help="Folder to read.")
    parser.add_argument("target", type=Path, help="Folder to write; same names.")
    parser.add_argument("--model", default="small", help="Shipped model or model file.")
    parser.add_argument("--workers", type=int, default=2, help="Processes to use.")
    arguments = parser.parse_args()
    if arguments.target.resolve() == arguments.source.resolve():
        parser.error("the target must be another folder")
    paths = sorted(p for p in arguments.source.iterdir() if p.suffix.lower() in images.SUFFIXES)
    spawn = multiprocessing.get_context("spawn")  # forking a process with threads may hang
    with ProcessPoolExecutor(arguments.workers, spawn, start_worker, (arguments.model,)) as pool:
        errors = list(filter(None, pool.map(partial(denoise_file, folder=arguments.target), paths)))
    print(f"{len(paths) - len(errors)} of {len(paths)} denoised")
    sys.exit("\n".join(errors) or 0)


if __name__ == "__main__":
    main()
