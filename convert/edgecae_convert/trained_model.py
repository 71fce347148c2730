"""What can be converted: a run, weights of a known architecture, a network trained elsewhere."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae.errors import RecipeError
from edgecae_convert.calibrate import where
from edgecae_convert.foreign.network import ForeignModel, open_model, weights_copy
from edgecae_train import architectures, recipe, weights
from edgecae_train.architectures import Architecture, describe
from edgecae_train.data.images import open_images
from edgecae_train.recipe import Recipe
from edgecae_train.run import held_out_folder
from edgecae_train.training_set import read_held_out

__all__ = ["KnownNetwork", "TrainedModel", "open_trained"]

WEIGHTS = ".weights.h5"
FROM_PYTORCH = (
    "PyTorch's own files hold code; export the network to ONNX (torch.onnx.export) and that to a "
    "SavedModel (onnx2tf), or rebuild it in Keras"
)
ROUTES = {
    ".onnx": "make it a SavedModel with onnx2tf (onnx2tf -i MODEL.onnx -o FOLDER -osd) and "
    "convert the folder",
    **dict.fromkeys((".pt", ".pth", ".pt2", ".ckpt", ".bin", ".safetensors"), FROM_PYTORCH),
    ".tflite": "it is a TFLite file already, and converting needs the network it was made of",
    ".pb": "convert the folder of the SavedModel that it lies in",
}
"""By suffix: how what was trained elsewhere gets here."""
MAX_CHANNELS = 512
MAX_BLOCKS = 64
MAX_STRIDE = 64
"""Of a network that a weights file describes: it is built before weights are compared with it."""


@dataclass(frozen=True)
class KnownNetwork:
    """A network of one of edgecae's architectures.

    Attributes:
        architecture: of the network.
        values: float weights by name.
        qat: QAT weights by name, with the activation ranges; None where there are none.
    """

    architecture: Architecture
    values: Mapping[str, NDArray[np.float32]]
    qat: Mapping[str, NDArray[np.float32]] | None = None

    def float_network(self) -> Any:
        """The Keras model, N×H×W×3 in [0, 1] to the same."""
        network = self.architecture.build(training=False)
        weights.load_weights(network, self.values)
        return network


@dataclass(frozen=True)
class TrainedModel:
    """A trained network and what belongs to it; used in a ``with``, which closes it.

    Attributes:
        name: for the file and its metadata.
        folder: where the file goes unless told otherwise.
        settings: recipe of the training; of a network trained elsewhere, noise and patches.
        repeatable: whether ``settings`` repeat the training.
        network: float, N×H×W×3 in [0, 1] to the same: of Keras, or a
            :class:`edgecae_convert.foreign.network.ForeignNetwork`.
        stride: height and width must be multiples of this.
        size: height and width, where it takes no others.
        channels: 3, or 1 of a network of gray frames.
        known: where it is one of edgecae's architectures.
        held_out: pictures to measure on, uint8, H×W×3.
        pairs: noisy pictures and what they are measured against, where training had such.
        held_out_from: the same in words.
        opened: what is closed with it.
    """

    name: str
    folder: Path
    settings: Recipe
    repeatable: bool
    network: Any
    stride: int
    size: tuple[int, int] | None
    channels: int
    known: KnownNetwork | None
    held_out: tuple[NDArray[np.uint8], ...]
    held_out_from: str
    pairs: tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], ...] = ()
    opened: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> TrainedModel:
        return self

    def __exit__(self, *error: object) -> None:
        self.opened.close()


def open_trained(
    path: Path,
    *,
    qat: bool,
    architecture: str | None = None,
    calibrate: str | None = None,
    noise: str | None = None,
    trust: bool = False,
    signature: str = "",
    value_range: tuple[float, float] = (0.0, 1.0),
) -> TrainedModel:
    """Open what is to be converted.

    Args:
        path: a run directory; ``FILE.weights.h5``; a SavedModel directory, ``FILE.keras`` or
            ``FILE.h5`` with its architecture.
        qat: whether QAT weights are needed.
        architecture: of weights that don't say it.
        calibrate: folder of photos, or ``builtin``, for what is no run.
        noise: that a network which is no run was trained for; ``gaussian:0-55`` unless given.
        trust: run code that a file names.
        signature: of a SavedModel, ``NAME`` or ``NAME:OUTPUT``; empty: ``serving_default``.
        value_range: what black and white are to a Keras model or a SavedModel.

    Raises:
        RecipeError: it is none of these, or lacks what is needed.
        DataError: there are no pictures to measure on.
    """
    if (path / "recipe.toml").exists():
        if architecture is not None or noise is not None:
            raise RecipeError(f"{path} is a run, whose recipe says its architecture and noise")
        if signature or value_range != (0, 1):
            raise RecipeError(f"{path} is a run: leave --range and --signature out")
        return _run(path, qat)
    _check_kind(path)
    if qat:
        raise RecipeError(f"{path} has no QAT phase, which int8 is made from; --ptq goes without")
    if calibrate is None:
        raise RecipeError(
            f"{path} is no run and holds no pictures: --calibrate FOLDER (or builtin) has those to "
            "calibrate and to measure on"
        )
    with contextlib.ExitStack() as opened:
        if path.name.endswith(WEIGHTS):
            known = _weights(path, architecture)
            found = ForeignModel(known.float_network(), known.architecture.stride, None)
        elif architecture is not None:
            raise RecipeError(f"an architecture goes with FILE{WEIGHTS}; {path} brings its own")
        else:
            known = None
            found = opened.enter_context(open_model(path, trust, signature, value_range))
        if known is not None and (signature or value_range != (0, 1)):
            raise RecipeError(
                f"{path} has weights of edgecae's own network, which takes [0, 1] and has no "
                "signatures: leave --range and --signature out"
            )
        settings = _settings(found.stride, noise)
        name = path.name.removesuffix(WEIGHTS).rsplit(".", 1)[0]
        smallest = max(size.patch for size in settings.qat.sizes)
        return TrainedModel(
            name=name,
            folder=path.parent,
            settings=settings,
            repeatable=False,
            network=found.network,
            stride=found.stride,
            size=found.size,
            channels=found.channels,
            known=known,
            held_out=tuple(open_images(calibrate, smallest, settings.seed).held_out()),
            held_out_from=f"images that are held out of {where(calibrate)}",
            opened=opened.pop_all(),
        )


def _check_kind(path: Path) -> None:
    """Refuse what is not there, and name the way of what comes from other frameworks.

    Raises:
        RecipeError: it is nothing that can be converted.
    """
    if not path.exists():
        near = difflib.get_close_matches(path.name, _names_in(path.parent), 1)
        hint = f"; there is {path.with_name(near[0])}" if near else ""
        raise RecipeError(f"{path} does not exist{hint}")
    if route := ROUTES.get(path.suffix.lower()):
        raise RecipeError(f"{path} can't be read: {route}")
    if path.is_dir() and not (path / "saved_model.pb").exists():
        raise RecipeError(
            f"{path} is no run directory and no SavedModel: it holds neither recipe.toml nor "
            "saved_model.pb"
        )


def _names_in(folder: Path) -> list[str]:
    try:
        return [each.name for each in folder.iterdir()]
    except OSError:
        return []


def _settings(stride: int, noise: str | None) -> Recipe:
    patch = -(-Recipe().qat.patch // stride) * stride
    changes = {"float.patch": patch, "qat.patch": patch}
    return recipe.with_changes(Recipe(), changes if noise is None else {**changes, "noise": noise})


def _run(run: Path, qat: bool) -> TrainedModel:
    settings = recipe.read(run / "recipe.toml")
    if qat and not settings.qat.steps:
        raise RecipeError(f"{run} has no QAT phase, which int8 is made from; --ptq goes without")
    architecture, values = _load(run, "float")
    trained = None
    if qat:
        architecture, trained = _load(run, "qat")
    held_out = read_held_out(held_out_folder(run))
    if not held_out.clean:
        raise RecipeError(f"{run} holds no held-out images to measure on")
    known = KnownNetwork(architecture, values, trained)
    return TrainedModel(
        name=settings.name or settings.model,
        folder=run,
        settings=settings,
        repeatable=True,
        network=known.float_network(),
        stride=architecture.stride,
        size=None,
        channels=3,
        known=known,
        held_out=held_out.clean,
        held_out_from=f"held-out images of {run}",
        pairs=held_out.pairs,
    )


def _load(run: Path, phase: str) -> tuple[Architecture, dict[str, NDArray[np.float32]]]:
    path = run / f"{phase}.weights.h5"
    if not path.exists():
        hint = "; its QAT phase has not ended" if phase == "qat" else ""
        raise RecipeError(f"{run} holds no {path.name}{hint}")
    architecture, _, values = _read(path)
    return architecture, values


def _read(path: Path) -> tuple[Architecture, str, dict[str, NDArray[np.float32]]]:
    """Read weights that edgecae wrote, or that somebody says it wrote."""
    with weights_copy(path) as copy:
        try:
            architecture, phase, values = weights.read_weights(copy)
        except RecipeError as error:
            raise RecipeError(str(error).replace(str(copy), str(path))) from error
    _check_numbers(path, values)
    described = describe(architecture)
    if (largest := max(_numbers(described), default=0)) > MAX_CHANNELS:
        raise RecipeError(
            f"{path} describes a network with {largest} channels; {MAX_CHANNELS} are allowed"
        )
    blocks = sum(_numbers([described.get("down", 0), described.get("up", 0)]))
    if blocks > MAX_BLOCKS or architecture.stride > MAX_STRIDE:
        raise RecipeError(
            f"{path} describes a network with {blocks} blocks and a stride of "
            f"{architecture.stride}; {MAX_BLOCKS} and {MAX_STRIDE} are allowed"
        )
    return architecture, phase, values


def _numbers(value: Any) -> Iterator[float]:
    """List the numbers of a description."""
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _numbers(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each)


def _weights(path: Path, name: str | None) -> KnownNetwork:
    """Weights that edgecae wrote, or Keras' ``save_weights`` for a network built alike."""
    if name is None:
        architecture, phase, values = _read(path)
        if phase != "float":
            raise RecipeError(f"{path} holds {phase} weights; those of the float phase are needed")
        return KnownNetwork(architecture, values)
    architecture = architectures.get(name)
    network = architecture.build(training=False)
    try:
        with weights_copy(path) as copy:
            network.load_weights(str(copy))
    except RecipeError:
        raise
    except Exception as error:  # whatever the file leads Keras to
        reason = (str(error).strip() or type(error).__name__).split("\n")[0][:200]
        raise RecipeError(f"{path} does not hold weights of {name}: {reason}") from error
    values = {k: v.numpy() for k, v in weights.named_weights(network).items()}
    _check_numbers(path, values)
    return KnownNetwork(architecture, values)


def _check_numbers(path: Path, values: Mapping[str, NDArray[np.float32]]) -> None:
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise RecipeError(
                f"{path} has weights that are no numbers ({name}): its training diverged"
            )
