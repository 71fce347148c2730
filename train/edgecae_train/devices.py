"""What a training runs on: devices, strategy, precision."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecae.errors import RecipeError
from edgecae_train._tf import tf

__all__ = ["Devices", "choose"]


@dataclass(frozen=True)
class Devices:
    """The choice.

    Attributes:
        strategy: a ``tf.distribute.Strategy``.
        policy: Keras dtype policy of the float phase.
        shard: which part of the global batch this process makes.
        shards: how many processes share the global batch.
        description: one line for the user.
    """

    strategy: Any
    policy: str
    shard: int
    shards: int
    description: str

    @property
    def chief(self) -> bool:
        """Whether this process writes the files of the run."""
        return self.shard == 0

    def barrier(self) -> None:
        """Wait until every process has come here: what the chief wrote before is there."""
        if self.shards > 1:
            ones = self.strategy.run(lambda: tf.constant(1.0))
            self.strategy.reduce(tf.distribute.ReduceOp.SUM, ones, axis=None)


def _cpu_has_bfloat16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _policy(precision: str, gpus: list[Any]) -> str:
    if precision != "auto":
        return precision if precision == "float32" else f"mixed_{precision}"
    if not gpus:
        return "mixed_bfloat16" if _cpu_has_bfloat16() else "float32"
    capabilities = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        for gpu in gpus
    ]
    if min(capabilities) >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if min(capabilities) >= (7, 0) else "float32"


def _cluster() -> tuple[int, int]:
    """This machine's place among the workers of TF_CONFIG, and how many there are."""
    try:
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
        cluster = config.get("cluster", {})
        workers = len(cluster.get("worker", []))
        if set(cluster) - {"worker"}:
            raise RecipeError("TF_CONFIG: name every machine as a 'worker'; the first one leads")
        return (int(config["task"]["index"]) if workers else 0), workers
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(f"TF_CONFIG can't be read: {error!r}") from error


def choose(strategy: str = "auto", precision: str = "auto") -> Devices:
    """Choose what to run on; call it before anything else touches TensorFlow's devices.

    Args:
        strategy: ``auto``: several machines where TF_CONFIG names them, else all GPUs where there
            are several, else one device; or ``one``, ``mirrored`` (without a GPU: over the
            logical CPU devices), ``workers``.
        precision: ``auto``: bfloat16 where the hardware multiplies it, float16 on older GPUs;
            or ``float32``, ``bfloat16``, ``float16``.

    Raises:
        RecipeError: ``workers`` without a TF_CONFIG that names some, or one that can't be read.
    """
    place, workers = _cluster()
    if strategy == "auto" and workers > 1:
        strategy = "workers"
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    shard, shards = 0, 1
    if strategy == "workers":
        if not workers:
            raise RecipeError("the strategy 'workers' needs TF_CONFIG, which names the machines")
        name, chosen = "MultiWorkerMirroredStrategy", tf.distribute.MultiWorkerMirroredStrategy()
        shard, shards = place, workers
    elif strategy == "mirrored" or (strategy == "auto" and len(gpus) > 1):
        logical = [d.name for d in tf.config.list_logical_devices("GPU" if gpus else "CPU")]
        name, chosen = (
            "MirroredStrategy",
            tf.distribute.MirroredStrategy(
                [device.replace("/device:", "") for device in logical],
                cross_device_ops=None if gpus else tf.distribute.ReductionToOneDevice(),
            ),
        )
    else:
        name = "OneDeviceStrategy"
        chosen = tf.distribute.OneDeviceStrategy("/GPU:0" if gpus else "/CPU:0")
    policy = _policy(precision, gpus)
    kind = "GPU" if gpus else "CPU"
    replicas = chosen.num_replicas_in_sync
    where = f"{replicas} x {kind}" + (f", worker {shard + 1} of {shards}" if shards > 1 else "")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        where += f" ({details.get('device_name', 'unknown')})"
    return Devices(chosen, policy, shard, shards, f"{where}, {policy}, {name}")
