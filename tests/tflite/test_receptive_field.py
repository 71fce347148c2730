"""The receptive field: of graphs, against what networks do and what was measured of the shipped."""

from __future__ import annotations

from edgecae import models
from edgecae.tflite import model_file
from edgecae.tflite.receptive_field import halo


def test_the_halo_of_a_graph_is_the_one_in_its_metadata(shipped: str) -> None:
    """That of the shipped models was measured, with a bright pixel in a network of ones."""
    model = model_file.read(models.find_model(shipped))
    assert halo(model.graph) == model.metadata.halo
