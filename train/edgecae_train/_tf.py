"""The one place where TensorFlow, tf-keras and tfmot are imported.

The Keras that QAT needs is Keras 2 (``tf_keras``): tfmot refuses the models of Keras 3. Whatever
``tf.keras`` is in the host program stays what it is.
"""

import contextlib
import os
import random
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from edgecae import native

__all__ = ["find_devices", "keras", "seeded", "tf", "tfmot"]


@contextlib.contextmanager
def _generators_kept() -> Iterator[None]:
    """Put the global generators of Python and numpy back to where they were."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


# oneDNN and CUDA introduce themselves whatever the log level; Keras draws random names.
with native.quiet(), _generators_kept():
    import tensorflow as tf
    import tf_keras as keras


def _import_tfmot() -> Any:
    """Import tfmot, and undo what it does to the environment of its process.

    It sets ``TF_USE_LEGACY_KERAS``, from which ``tf.keras`` learns on its first use which Keras it
    is. That use comes before, so that the host's own setting decides. Where ``tf.keras`` is
    Keras 3, tfmot takes ``tf_keras``. Where it is not, nothing needs Keras 3; tfmot would load all
    of it, in seconds, to look for a module that only Keras 2 had.
    """
    hidden = tf.keras.layers.__name__.startswith("tf_keras") and "keras" not in sys.modules
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    if hidden:
        sys.modules["keras"] = None  # type: ignore[assignment] # an import of it fails
    try:
        import tensorflow_model_optimization
    finally:
        if hidden:
            del sys.modules["keras"]
    if before is None:
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
    else:
        os.environ["TF_USE_LEGACY_KERAS"] = before
    return tensorflow_model_optimization


with _generators_kept():
    tfmot: Any = _import_tfmot()


def find_devices() -> None:
    """Let TensorFlow look for its devices, which prints where a driver is missing."""
    with native.quiet():
        tf.config.list_physical_devices()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed TensorFlow and Keras, for networks that are built inside.

    Keras seeds the global generators of Python and numpy as well; they are put back afterwards.
    """
    with _generators_kept():
        keras.utils.set_random_seed(seed)
        yield
