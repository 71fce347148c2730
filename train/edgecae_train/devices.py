"""What a training runs on: devices, strategy, precision."""

from __future__ import annotations

import json
import logging
import math
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecae.errors import RecipeError
from edgecae_train._tf import tf

__all__ = ["Devices", "choose"]

log = logging.getLogger(__name__)

SECONDS_BEFORE_NAMED = 3.0
"""Until a worker says whom it waits for: others may begin a little later."""
SECONDS_BETWEEN_CALLS = 0.2
CONNECT_SECONDS = 1.0


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
        place = int(config["task"]["index"]) if workers else 0
        if workers and not 0 <= place < workers:
            raise RecipeError(
                f"TF_CONFIG: there is no worker {place}; {workers} are named, from 0 to "
                f"{workers - 1}"
            )
        return place, workers
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, RecipeError):
            raise
        raise RecipeError(f"TF_CONFIG can't be read: {error!r}") from error


def _addresses() -> list[str]:
    """Addresses of the workers of TF_CONFIG, ``HOST:PORT``."""
    return [str(each) for each in json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"]]


def _parts(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise RecipeError(f"TF_CONFIG: {address!r} is no HOST:PORT")
    return host.strip("[]"), int(port)


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _wait_for_workers(place: int, announce: Callable[[str], None]) -> None:
    """Wait until every other worker is there, and say which are not.

    TensorFlow would wait for them without a word, and hears no signal meanwhile. So each worker
    listens at its own address and calls the others, before TensorFlow takes over the address. A
    worker that has gone ahead answers there as well.
    """
    addresses = [_parts(each) for each in _addresses()]
    missing = [each for number, each in enumerate(addresses) if number != place]
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    port = addresses[place][1]
    try:
        own = socket.create_server(("", port), family=family, dualstack_ipv6=dual)
    except OSError as error:
        raise RecipeError(
            f"TF_CONFIG: port {port} of this worker can't be used: {error.strerror}"
        ) from error
    with own:
        said, since = missing, time.monotonic()
        while missing := [each for each in missing if not _answers(each)]:
            if missing != said or time.monotonic() - since > SECONDS_BEFORE_NAMED:
                names = ", ".join(f"{host}:{port}" for host, port in missing)
                announce(f"waits for the workers {names} (TF_CONFIG)")
                said, since = missing, math.inf
            time.sleep(SECONDS_BETWEEN_CALLS)


def choose(
    strategy: str = "auto",
    precision: str = "auto",
    announce: Callable[[str], None] = log.info,
) -> Devices:
    """Choose what to run on; call it before anything else touches TensorFlow's devices.

    Args:
        strategy: ``auto``: several machines where TF_CONFIG names them, else all GPUs where there
            are several, else one device; or ``one``, ``mirrored`` (without a GPU: over the
            logical CPU devices), ``workers``.
        precision: ``auto``: bfloat16 where the hardware multiplies it, float16 on older GPUs;
            or ``float32``, ``bfloat16``, ``float16``.
        announce: told which workers it waits for.

    Raises:
        RecipeError: ``workers`` without a TF_CONFIG that names some, one that can't be read or
            has no place for this worker, or an address that can't be used.
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
        _wait_for_workers(place, announce)
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
