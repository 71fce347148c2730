"""Count the channels of a network that give the same value for every picture.

    python benchmarks/search/dead.py --data PHOTOS small RUN WEIGHTS.h5 ...

For shipped names, runs and weight files alike: one line a convolution, with the range of its
results on eight photos with noise of σ 25, and how many of its channels stay within 10⁻³.
"""

from __future__ import annotations

import argparse

import numpy as np

from edgecae import noise
from edgecae_train import evaluate
from edgecae_train._tf import keras
from edgecae_train.data.images import open_images

SIDE, COUNT, STILL = 304, 8, 1e-3


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("networks", nargs="+")
    options = parser.parse_args()
    photos = open_images(options.data, SIDE, 0).held_out()[:COUNT]
    rng = np.random.default_rng(0)
    noisy = np.stack([noise.gaussian(25).add(photo[:SIDE, :SIDE], rng) for photo in photos])
    for name in options.networks:
        network, _ = evaluate.float_network(name)
        layers = [each for each in network.layers if type(each) is keras.layers.Conv2D]
        taps = keras.Model(network.input, [layer.output for layer in layers])
        print(name)
        for layer, result in zip(layers, taps.predict(noisy / 255, verbose=0), strict=True):
            channels = result.reshape(-1, result.shape[-1])
            dead = int(np.count_nonzero(np.ptp(channels, axis=0) < STILL))
            low, high = channels.min(), channels.max()
            print(f"  {layer.name:<16}{low:8.2f} to {high:5.2f}  dead {dead} of {len(channels[0])}")


if __name__ == "__main__":
    main()
