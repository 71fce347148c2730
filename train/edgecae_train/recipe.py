"""Recipes: everything that repeats a training, as TOML."""

from __future__ import annotations

import codecs
import hashlib
import importlib.metadata
import math
import platform
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from edgecae import noise
from edgecae.errors import NoiseError, RecipeError
from edgecae.nearest import nearest_setting
from edgecae_train.data.images import BUILTIN

__all__ = [
    "OF_CLIPS",
    "PhaseSettings",
    "QatPhase",
    "Recipe",
    "digest",
    "dumps",
    "located",
    "rate",
    "read",
    "versions",
    "with_changes",
]

Count = Annotated[int, msgspec.Meta(ge=1)]
Whole = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Tries = Annotated[int, msgspec.Meta(ge=1, le=16)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Average = Annotated[float, msgspec.Meta(ge=0, lt=1)]
Frames = Annotated[int, msgspec.Meta(ge=2, le=64)]
Channels = Annotated[int, msgspec.Meta(ge=0, le=256)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


Loss = Literal["auto", "mse", "l1", "charbonnier", "rmse", "psnr"]
Optimizer = Literal["muon", "adam"]
Schedule = Literal["cosine", "constant", "plateau"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Strategy = Literal["auto", "one", "mirrored", "workers"]


class Early(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the first steps of a phase do with less: many small patches teach faster.

    They see little around each pixel, and much border, so that a phase should not end with them.

    Attributes:
        steps: how many of the phase's steps; 0: none.
        batch: patches a step in their place.
        patch: side of a patch in their place.
    """

    steps: Whole = 0
    batch: Count = 16
    patch: Count = 48


class PhaseSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Settings of one of the two phases.

    Attributes:
        steps: optimizer steps; 0 leaves the phase out.
        batch: patches a step, over all devices and machines together.
        patch: side of a patch in pixels.
        loss: ``mse``, ``l1``, ``charbonnier`` (Charbonnier et al., 1994: √(x² + ε²), ε = 10⁻³),
            ``rmse`` (of each patch, then the mean) or ``psnr`` (mean logarithm of each patch's
            squared error); ``auto``: the architecture's own.
        margin: pixels at each side of a patch that the loss leaves out. What lies there sees the
            zeros beyond the edge, which the runtime pads away
            (``edgecae.denoise.tiling.border``).
        flat_weight: what the error of patches without any noise is multiplied with in the loss: of
            flat colours, for what else has no noise at all. An error of three levels is seen in a
            title bar, and lost in what noise leaves of a photo.
        early: smaller patches to begin with, ``[float.early]`` in a file.
        learning_rate: highest rate.
        final_rate: where the rate ends, as a share of the highest.
        warmup: steps in which the rate climbs from zero.
        schedule: ``cosine``, ``constant``, or ``plateau`` (halved when ``plateau`` validations
            in a row bring nothing better).
        plateau: see ``schedule``.
        weight_decay: share of a hidden convolution's kernel that is taken off a step, as a multiple
            of the rate. Without it kernels grow, and steps of a fixed length, as Muon's, turn them
            ever less.
        leak: slope of ReLU6 outside its bounds in the first step (see
            :class:`.architectures.layers.LeakyReLU6`); falls to 0 on a line that ends after
            three fifths of the steps. Training that starts from weights goes without.
        average: decay of the exponential moving average of the weights, which is what is
            validated, kept and converted; 0: the weights themselves.
        trained: what the names of the layers that are trained begin with, such as ``coarse_``;
            empty: all layers are trained.
    """

    steps: Whole
    loss: Loss = "auto"
    learning_rate: Positive
    batch: Count = 8
    patch: Count = 112
    margin: Whole = 0
    flat_weight: Positive = 1.0
    early: Early = Early()
    final_rate: Share = 0.01
    warmup: Whole = 200
    schedule: Schedule = "cosine"
    plateau: Count = 3
    weight_decay: NotNegative = 0.3
    leak: Share = 0.1
    average: Average = 0.999
    trained: str = ""

    @property
    def sizes(self) -> list[PhaseSettings | Early]:
        """All that give a batch and a patch which is used."""
        return [self.early, self] if self.early.steps else [self]


class QatPhase(PhaseSettings, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The same for the QAT phase, with other defaults.

    Averaging does harm here and is off: weights swing between two roundings, and their mean lies
    at the threshold between the two. The loss is ``psnr``, to which every noise level counts the
    same: what rounding costs is lost where there is little noise, and other losses hardly see it.
    """

    loss: Loss = "psnr"
    weight_decay: NotNegative = 0.0
    leak: Share = 0.0
    average: Average = 0.0


class Recipe(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Everything that one training is made from.

    Attributes:
        model: name of a registered architecture.
        latent: channels of its latent, for a compressor; 0: none. Networks with skips have none.
        architecture: numbers that replace those of ``model``, ``[architecture]`` in a file: fields
            of its dataclass in :mod:`edgecae_train.architectures`, such as ``channels``.
        name: what the model file is called; like the architecture unless given.
        data: folder of photos, and of videos for recurrent models, or ``builtin``.
        held_out: folder of photos to validate on, or of what else it is trained on; without one, a
            few are held out by their names. Photos of sources that training does not see tell more.
        pairs: folder of noisy and clean pictures of the same scenes (:mod:`.data.names`), in the
            place of ``data`` and ``noise``, which then mean nothing, as ``gray``, ``flat`` and
            ``patterns`` do.
        bursts: folder with a subfolder of shots for each still scene (:mod:`.data.bursts`), in the
            place of both likewise.
        noise: see :mod:`edgecae.noise`.
        frames: of a clip, for recurrent models, whose clips are made from the photos of ``data``
            (:mod:`.data.clips`) and cut from its videos (:mod:`.data.videos`); ``gray``,
            ``detail``, ``enlarged``, ``flat`` and ``patterns`` mean nothing to them.
        caution: of a recurrent model: weight of what a scene has changed against noise. The
            network for single frames removes noise, and takes the change for a part of the
            picture; and a wrong mean is wrong in the next frames, too.
        gray: share of the patches that are gray, with the same noise in all channels, as frames
            of a gray camera come to a colour network.
        detail: patches drawn for each that is used, the one with most detail: much of a photo is
            sky or wall, and a network learns little from it. As many numbers as the noise has
            parts give each part its own: where noise is strong, most of what is left to see is
            smooth, and detail that is preferred harms.
        flat: share of the patches that are one flat colour or a few, without noise: what screens
            and title bars show, and photos hardly do.
        patterns: share of the patches that are not flat which have a fine regular pattern over the
            photo, as cloth and nets do; with weak noise, a network takes such for grain.
        enlarged: share of the photos of which a part is made larger, as soft as pictures of cameras
            are at their full size. As many numbers as the noise has parts give each part its own.
        keep: share of the weights to start from (``--init``) in the result of the float phase; the
            rest is what was trained. A network that learns something else forgets some of what it
            knew, and a mean of both has most of both (Wortsman et al., "Robust fine-tuning of
            zero-shot models", 2022). 0: none.
        seed: of weights, patches and noise.
        optimizer: of the float phase: ``muon`` or ``adam``; QAT has Adam.
        clip_norm: gradients longer than this (over all weights) are shortened to it; 0: never.
        validate_every: steps between validations, each of which also writes a checkpoint.
        patience: a phase stops after this many validations without a better one; 0: never.
        deterministic: make TensorFlow's kernels repeatable to the bit, at some cost in speed.
        precision: of the float phase: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        strategy: ``auto``, ``one``, ``mirrored`` (all GPUs of this machine) or ``workers``
            (several machines, from TF_CONFIG).
        float_phase: the float phase, ``[float]`` in a file.
        qat: the quantization-aware phase, which starts from the best float weights.
        made_with: versions of what ran it, and a fingerprint of its images, which a resumed run
            compares; no setting.
    """

    model: str = "small"
    latent: Channels = 0
    architecture: dict[str, Any] = {}
    name: str = ""
    data: str = BUILTIN
    pairs: str = ""
    bursts: str = ""
    held_out: str = ""
    noise: str = "gaussian:0-55"
    frames: Frames = 8
    caution: Positive = 64.0
    gray: Share = 0.05
    detail: Tries | tuple[Tries, ...] = 1
    flat: Share = 0.0
    patterns: Share = 0.0
    enlarged: Share | tuple[Share, ...] = 0.0
    keep: Share = 0.0
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 0
    optimizer: Optimizer = "muon"
    clip_norm: NotNegative = 1.0
    validate_every: Count = 500
    patience: Whole = 0
    deterministic: bool = False
    precision: Precision = "auto"
    strategy: Strategy = "auto"
    float_phase: PhaseSettings = msgspec.field(
        name="float", default=PhaseSettings(steps=20_000, learning_rate=4e-3)
    )
    qat: QatPhase = QatPhase(steps=600, learning_rate=2e-5, warmup=50)
    made_with: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Refuse what the types alone can't."""
        try:
            noise.parse(self.noise)
        except NoiseError as error:
            raise RecipeError(str(error)) from error
        if not self.float_phase.steps and not self.qat.steps:
            raise RecipeError("both phases have 0 steps: there is nothing to train")
        if self.pairs and self.bursts:
            raise RecipeError("pairs and bursts are two trainings: give one of them")
        if self.photographed and not isinstance(self.detail, int):
            raise RecipeError(f"detail of {self.photographed[0]} is one number: there are no parts")

    @property
    def photographed(self) -> tuple[str, str] | None:
        """``pairs`` or ``bursts``, and its folder, where the noise is photographed, not made."""
        for kind in ("pairs", "bursts"):
            if folder := getattr(self, kind):
                return kind, folder
        return None


OF_CLIPS = {
    "float.steps": 5000,
    "float.batch": 6,
    "float.patch": 96,
    "float.margin": 4,
    "float.learning_rate": 3e-3,
    "qat.steps": 0,
}
"""What a recurrent model is trained with unless told otherwise."""


def read(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        RecipeError: it is missing, is no TOML, or has a setting that does not exist or fit.
    """
    if not path.exists():
        raise RecipeError(f"{path} does not exist")
    try:
        # Editors of Windows begin a file with a byte order mark, which TOML has not.
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        return msgspec.toml.decode(content, type=Recipe)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe {path}: {error}{nearest_setting(str(error), Recipe)}") from error


def with_changes(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    """A recipe with some settings replaced, validated anew.

    Args:
        recipe: where to start from.
        changes: by name; those of a phase under ``float.NAME`` and ``qat.NAME``, of its early
            steps under ``float.early.NAME``.

    Raises:
        RecipeError: a setting does not exist or does not fit.
    """
    data = msgspec.to_builtins(recipe)
    for name, value in changes.items():
        *tables, setting = name.split(".")
        table = data
        for each in tables:
            table = table[each]
        table[setting] = value
    try:
        return msgspec.convert(data, Recipe)
    except msgspec.ValidationError as error:
        raise RecipeError(str(error)) from error


def located(recipe: Recipe) -> Recipe:
    """The recipe with nothing in it that depends on the folder where it is read.

    Paths of photos become absolute ones; of a noise file, the numbers are taken over, so
    that the run, and what is made from it, need the file no more.
    """
    folders = {
        name: str(Path(folder).resolve())
        for name in ("data", "pairs", "bursts", "held_out")
        if (folder := getattr(recipe, name)) not in ("", BUILTIN)
    }
    return msgspec.structs.replace(recipe, **folders, noise=str(noise.parse(recipe.noise)))


def dumps(recipe: Recipe) -> str:
    """The recipe as TOML."""
    return msgspec.toml.encode(recipe).decode()


def digest(recipe: Recipe) -> str:
    """SHA-256 of the recipe, hexadecimal, without the versions of what ran it."""
    return hashlib.sha256(dumps(msgspec.structs.replace(recipe, made_with={})).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of what decides a result."""
    packages = ("edgecae", "tensorflow", "tf-keras", "tensorflow-model-optimization", "numpy")
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def rate(phase: PhaseSettings, step: int, factor: float = 1.0) -> float:
    """Learning rate of a step.

    Args:
        phase: gives the schedule.
        step: counted from 0.
        factor: what a plateau has made of the rate so far.
    """
    if step < phase.warmup:
        return phase.learning_rate * (step + 1) / phase.warmup
    if phase.schedule == "cosine":
        done = (step - phase.warmup) / max(1, phase.steps - phase.warmup)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        return phase.learning_rate * (phase.final_rate + (1 - phase.final_rate) * fall)
    return phase.learning_rate * max(factor, phase.final_rate)


LEAKS = 0.6
"""Share of a phase's steps in which ReLU6 leaks."""


def leak(phase: PhaseSettings, step: int) -> float:
    """Slope of ReLU6 outside its bounds at a step, counted from 0."""
    return phase.leak * max(0.0, 1.0 - step / (LEAKS * phase.steps))
