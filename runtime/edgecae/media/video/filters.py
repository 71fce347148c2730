"""Chains of FFmpeg's filters, for what only they can do to PyAV's pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["filter_graph", "pulled", "rest_of"]


def filter_graph(picture: Any, filters: list[tuple[str, str]]) -> Any:
    """A chain of FFmpeg's filters for pictures like this one."""
    from av.filter import Graph

    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=picture.width,
            height=picture.height,
            format=picture.format.name,
            time_base=picture.time_base,
        ),
        *(graph.add(name, arguments) for name, arguments in filters),
        graph.add("buffersink"),
    ).configure()
    return graph


def pulled(graph: Any) -> Iterator[Any]:
    """Pictures that a chain of filters has ready."""
    import av

    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return


def rest_of(graph: Any) -> Iterator[Any]:
    """Pictures that a chain of filters still holds back."""
    if graph is not None:
        graph.push(None)
        yield from pulled(graph)
