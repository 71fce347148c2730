"""What the rounding of each tensor alone costs a network: where int8 loses.

    python benchmarks/search/tensors.py --data PHOTOS [--sigma 5] base RUN WEIGHTS.h5 ...

For shipped names, runs and weight files alike, equalized and calibrated as for int8: a line for all
of them, weights included, and one a tensor with the mean squared error that rounding it adds to the
result, in levels² of 255, on crops of the photos held out, and its range.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecae import noise
from edgecae_train import shipped, weights
from edgecae_train._tf import keras, tf
from edgecae_train.data.batches import Batches
from edgecae_train.data.images import open_images
from edgecae_train.quantization.quantize import calibrate, post_training

SIDE, PATCH, BATCHES = 128, 112, 32


def rounded(network: Any, name: str, low: float, high: float) -> Any:
    """The network with the output of one layer rounded to 8 bits over a range."""

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        config.pop("kernel_initializer", None)  # the weights come from elsewhere
        twin = layer.__class__.from_config(config)
        if layer.name == name:
            compute = twin.call

            def call(*args: Any, **kwargs: Any) -> Any:
                result = compute(*args, **kwargs)
                return tf.quantization.fake_quant_with_min_max_args(result, low, high)

            twin.call = call
        return twin

    copy = keras.models.clone_model(network, clone_function=clone)
    weights.copy_weights(network, copy)
    return copy


def main() -> None:
    """Print the errors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--sigma", type=float, default=5)
    parser.add_argument("networks", nargs="+")
    options = parser.parse_args()
    images = open_images(options.data, SIDE, 0)
    rng = np.random.default_rng(0)
    noisy = np.stack(
        [noise.gaussian(options.sigma).add(x[:SIDE, :SIDE], rng) for x in images.held_out()]
    )
    frames = (noisy / 255).astype(np.float32)
    patches = Batches(images, noise.parse("gaussian:0-55"), 8, PATCH, 1, gray=0.05)

    def batches() -> Iterator[NDArray[np.float32]]:
        for step in range(BATCHES):
            yield np.asarray(patches.at(step)[0] / 255, np.float32)

    for name in options.networks:
        architecture, _, values = weights.read_weights(shipped.find_weights(name))
        network, whole = post_training(architecture, values, batches)
        exact = network.predict(frames, verbose=0)

        def error(twin: Any, exact: NDArray[np.float32] = exact) -> float:
            return float(np.mean((twin.predict(frames, verbose=0) - exact) ** 2) * 255**2)

        print(f"{name:<28}{error(whole):8.4f}  all, and weights")
        ranges = {**calibrate(network, batches()).ranges, "features": (0.0, 1.0)}
        for layer, (low, high) in ranges.items():
            one = error(rounded(network, layer, low, high))
            print(f"  {layer:<26}{one:8.4f}  {low:5.2f} to {high:.2f}", flush=True)


if __name__ == "__main__":
    main()
