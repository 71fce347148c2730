"""``edgecae train``."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edgecae.commands import terminal
from edgecae.errors import RecipeError
from edgecae_train import architectures, channels, loop, recipe, shipped, weights
from edgecae_train._tf import find_devices
from edgecae_train.architectures import RECURRENT, Architecture, half_resolution
from edgecae_train.recipe import Recipe

__all__ = ["command", "progress"]


@dataclass(frozen=True)
class _Setting:
    """An option that overrides settings of the recipe.

    Attributes:
        flag: name on the command line.
        settings: names in the recipe, see :func:`edgecae_train.recipe.with_changes`.
        kind: type of the values, as click takes it; or a :data:`typing.Literal` that lists them.
        help: a line of help.
    """

    flag: str
    settings: tuple[str, ...]
    kind: Any
    help: str

    @property
    def type(self) -> Any:
        """Type of the values as click takes it."""
        values = get_args(self.kind)
        return click.Choice(values) if values else self.kind


_SETTINGS = [
    _Setting("--model", ("model",), click.Choice(sorted(architectures.every())),
             "Architecture."),
    _Setting("--latent", ("latent",), int,
             "Channels of a compressor's latent; for classic.  [default: none]"),
    _Setting("--data", ("data",), str, "Folder of images (searched recursively), or builtin; "
             "of videos, too, for a model for video."),
    _Setting("--pairs", ("pairs",), str,
             "Folder of noisy and clean pictures: x_noisy.png and x_clean.png, or noisy/x.png and "
             "clean/x.png; in the place of --data and --noise."),
    _Setting("--bursts", ("bursts",), str,
             "Folder with a subfolder of shots for each still scene; no clean picture is needed."),
    _Setting("--held-out", ("held_out",), str,
             "Folder to validate on.  [default: a tenth is held out]"),
    _Setting("--noise", ("noise",), str,
             "gaussian:0-55, poisson-gaussian:GAIN,READ, camera:, a TOML, or SHARE*NOISE + …"),
    _Setting("--seed", ("seed",), int, "Of weights, patches and noise."),
    _Setting("--loss", ("float.loss",), recipe.Loss, "Of the float phase."),
    _Setting("--optimizer", ("optimizer",), recipe.Optimizer, "Of the float phase."),
    _Setting("--steps", ("float.steps",), int, "Steps of the float phase; 0 leaves it out."),
    _Setting("--qat-steps", ("qat.steps",), int, "Steps of the QAT phase; 0 leaves it out."),
    _Setting("--batch", ("float.batch", "qat.batch"), int, "Patches a step."),
    _Setting("--patch", ("float.patch", "qat.patch"), int, "Side of a patch, pixels."),
    _Setting("--learning-rate", ("float.learning_rate",), float,
             "Highest rate of the float phase."),
    _Setting("--qat-learning-rate", ("qat.learning_rate",), float,
             "Highest rate of the QAT phase."),
    _Setting("--warmup", ("float.warmup",), int, "Steps in which the rate climbs."),
    _Setting("--schedule", ("float.schedule", "qat.schedule"), recipe.Schedule,
             "How the rate goes on."),
    _Setting("--clip-norm", ("clip_norm",), float, "Longest gradient; 0: any."),
    _Setting("--average", ("float.average",), float,
             "Decay of the moving average of the float weights."),
    _Setting("--validate-every", ("validate_every",), int,
             "Steps between validations and checkpoints."),
    _Setting("--patience", ("patience",), int,
             "Validations without a better one before a phase stops."),
    _Setting("--precision", ("precision",), recipe.Precision, "Of the float phase."),
    _Setting("--strategy", ("strategy",), recipe.Strategy,
             "One device, all GPUs, or several machines (TF_CONFIG)."),
]  # fmt: skip


def _setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each of the settings; unless given, its value is None."""
    for each in reversed(_SETTINGS):
        command = click.option(each.flag, type=each.type, help=each.help)(command)
    return command


def _changes(values: dict[str, Any]) -> dict[str, Any]:
    """Translate the values of the options to changes of the recipe.

    Args:
        values: by the name that click gives an option; None: it was not given.
    """
    return {
        name: value
        for each in _SETTINGS
        if (value := values[each.flag[2:].replace("-", "_")]) is not None
        for name in each.settings
    }


def _usual(model: str | None) -> Recipe:
    """The recipe that options change where there is no file."""
    return recipe.with_changes(Recipe(), recipe.OF_CLIPS if model in RECURRENT else {})


def _one_kind(asked: dict[str, Any]) -> dict[str, Any]:
    """Choose the settings that follow where an option says what kind of data to learn from.

    Args:
        asked: changes of the recipe by options.
    """
    kinds = [{"pairs"}, {"bursts"}, {"data", "noise"}]
    given = [kind for kind in kinds if kind & asked.keys()]
    if len(given) > 1:
        raise click.UsageError(
            "--pairs, --bursts, and --data with --noise are three ways to learn: give one of them"
        )
    others = {"pairs", "bursts"} - given[0] if given else set()
    return dict.fromkeys(others, "")


def _following(init: str, architecture: Architecture, asked: dict[str, Any]) -> dict[str, Any]:
    """Choose the settings that follow from the architecture of ``--init``.

    They are its own, unless another is asked for to which the weights can be fitted.

    Args:
        init: as it was given.
        architecture: that of its weights.
        asked: the settings ``model``, ``latent`` and ``architecture``, None where nobody asked.
    """
    if asked["model"] is not None:
        wanted = {
            "model": asked["model"],
            "latent": asked["latent"] or 0,
            "architecture": asked["architecture"] or {},
        }
        if channels.fits(architecture, architectures.get(*wanted.values())):
            return wanted
    name, latent = architectures.named(architecture)
    follows = {"model": name, "latent": latent}
    for setting, value in follows.items():
        if asked[setting] not in (None, value):
            raise click.UsageError(
                f"--init {init} is of the {setting} {value}, not {asked[setting]}"
            )
    return {**follows, "architecture": {}}


def _second(init: str, chosen: Recipe) -> Mapping[str, NDArray[np.float32]]:
    """Weights of ``--init-second``, by their names in a second network.

    Args:
        init: as it was given: what is like the second network, or has one like it.
        chosen: the recipe that they are for.

    Raises:
        RecipeError: the recipe's network has no second one of their architecture.
    """
    architecture, _, values = weights.read_weights(shipped.find_weights(init))
    trained = architectures.get(chosen.model, chosen.latent, chosen.architecture)
    second = getattr(trained, "second", None)
    if second is not None and architecture == second:
        return half_resolution.started(values)
    if second is not None and getattr(architecture, "second", None) == second:
        return half_resolution.trained_part(values)
    raise RecipeError(
        f"--init-second {init} does not fit: the network has no second one like {architecture}"
    )


@contextlib.contextmanager
def progress(console: Console) -> Iterator[Callable[[loop.Event], None]]:
    """Show bars on a terminal, and print a line for each validation everywhere."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} steps/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}
        started: dict[str, tuple[float, int]] = {}

        def report(event: loop.Event) -> None:
            if event.phase not in tasks:
                tasks[event.phase] = bars.add_task(event.phase, total=event.steps, rate=0.0)
                started[event.phase] = (time.monotonic(), event.step)
            since, first = started[event.phase]
            elapsed = time.monotonic() - since
            speed = (event.step - first) / elapsed if elapsed else 0.0
            bars.update(tasks[event.phase], completed=event.step, rate=speed)
            if event.row is not None:
                left = (event.steps - event.step) / speed if speed else 0.0
                loss, quality = event.row["loss"], event.row["psnr"]
                progress = (
                    "rounded, not trained yet"
                    if loss is None
                    else f"loss {loss:.5f}  {speed:.1f} steps/s  {left / 60:.1f} min left"
                )
                console.print(
                    f"{event.phase:<5} step {event.step}/{event.steps}  PSNR {quality:.2f} dB  "
                    f"{progress}",
                    highlight=False,
                )

        yield report


@click.command()
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Run directory to make."
)
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(path_type=Path),
    help="TOML file of settings; the options below override it.",
)
@click.option(
    "--init",
    metavar="NAME|RUN|WEIGHTS",
    help="Weights to start from; the model follows, or is one that differs in widths alone.",
)
@click.option(
    "--init-second",
    metavar="NAME|RUN|WEIGHTS",
    help="With --init: weights for a network at half the resolution that those lack.",
)
@click.option("--resume", is_flag=True, help="Continue the run in --out from its checkpoint.")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard files.")
@click.option("--deterministic", is_flag=True, default=None, help="Repeatable to the bit.")
@_setting_options
def command(
    out: Path,
    recipe_file: Path | None,
    init: str | None,
    init_second: str | None,
    resume: bool,
    tensorboard: bool,
    deterministic: bool | None,
    **settings: Any,
) -> None:
    """Train a network: a float phase, then a quantization-aware one.

    The run directory gets the resolved recipe, the history, curves and samples as pictures,
    checkpoints, and the best weights of both phases.
    """
    find_devices()
    changes = _changes(settings)
    if deterministic is not None:
        changes["deterministic"] = deterministic
    if "model" in changes:
        changes["architecture"] = {}  # the recipe's numbers are those of the recipe's model
    changes |= _one_kind(changes)
    start = None
    if resume:
        if changes or recipe_file or init or init_second:
            raise click.UsageError("--resume goes on with the run's own recipe; give --out alone")
        if not (out / "recipe.toml").exists():
            raise RecipeError(f"{out} holds no run to resume")
        chosen = recipe.read(out / "recipe.toml")
    else:
        chosen = recipe.read(recipe_file) if recipe_file else _usual(changes.get("model"))
        if init:
            architecture, _, values = weights.read_weights(shipped.find_weights(init))
            asked = {
                setting: changes.get(setting, getattr(chosen, setting) if recipe_file else None)
                for setting in ("model", "latent", "architecture")
            }
            changes |= _following(init, architecture, asked)
            start = channels.Start(architecture, values)
        chosen = recipe.with_changes(chosen, changes)
        if init_second:
            if start is None:
                raise click.UsageError("--init-second needs --init")
            start = dataclasses.replace(start, second=_second(init_second, chosen))
    console = Console(stderr=True)
    with progress(console) as report:
        loop.train(
            chosen,
            out,
            start=start,
            resume=resume,
            tensorboard=tensorboard,
            announce=lambda line: console.print(
                terminal.printable(line), markup=False, highlight=False
            ),
            report=report,
        )
    terminal.echo(out)
