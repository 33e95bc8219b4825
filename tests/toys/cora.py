"""Small networks, graphs and collections for the tests of ``cora``."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import crossrank as cr
from crossrank.testing import make_collection
from crossrank_cora.network import Cora, Sizes, save_network
from crossrank_graphs import Graph, graph_of_names

SIZES = Sizes(region=10, phrase=384, dim=8, heads=2, hidden=5)

SCENE = graph_of_names(
    "",
    [("dog", ["brown", "wet"]), ("man", []), ("ball", ["red"]), ("man", ["old"])],
    [(0, "chase", 2), (1, "watch", 0), (1, "next to", 1), (1, "hold", 2), (1, "throw", 2)],
)
"""A name twice, a loop, two relations of one pair, and an object that nothing is related to."""
SCENES = (SCENE, graph_of_names("", [("cat", [])], []), graph_of_names("", [], []))


def random_network(sizes: Sizes = SIZES, seed: int = 0) -> Cora:
    """Return a network in which no parameter is zero."""
    torch.manual_seed(seed)
    network = Cora(sizes).eval().requires_grad_(False)
    for name, each in network.state_dict().items():
        if "spread" in name:
            each.copy_(torch.rand(each.shape) + 0.5)
        else:
            each.copy_(torch.randn(each.shape) * 0.3)
    return network


def saved(path: Path, sizes: Sizes = SIZES, seed: int = 0) -> Path:
    """Write a random network."""
    save_network(random_network(sizes, seed), path)
    return path


def vector(phrase: str, size: int = SIZES.phrase) -> NDArray[np.float64]:
    """Return a vector that only this phrase has."""
    return np.random.default_rng(zlib.crc32(phrase.encode())).normal(size=size)


def vectors(phrases: Sequence[str], size: int = SIZES.phrase) -> NDArray[np.float64]:
    """Return those of several phrases."""
    return np.array([vector(each, size) for each in phrases]).reshape(-1, size)


def shuffled(graph: Graph, order: Sequence[int]) -> Graph:
    """List a graph's objects in another order, and its relations backwards."""
    place = {old: new for new, old in enumerate(order)}
    return graph_of_names(
        graph.text,
        [(graph.objects[old].name, graph.objects[old].attributes) for old in order],
        [
            (place[each.subject.index], each.predicate, place[each.object.index])
            for each in graph.relations[::-1]
        ],
    )


def collection(modality: str, count: int = 12) -> cr.Collection:
    """Return pictures or texts with features of the toy sizes; texts bring their graphs."""
    made = make_collection(modality, count, dimensions={"regions": SIZES.region})
    if modality == "image":
        return made
    graphs = [SCENES[0] if row % 3 else shuffled(SCENE, [3, 0, 1, 2]) for row in range(count)]
    names = ("dog", "man", "ball", "tree", "boat")
    graphs = [
        graph_of_names(
            "", [*((o.name, o.attributes) for o in graph.objects), (names[row % 5], [])],
            [(r.subject.index, r.predicate, r.object.index) for r in graph.relations],
        )
        for row, graph in enumerate(graphs)
    ]  # fmt: skip
    return made.with_features(graph=[graph.to_dict() for graph in graphs])
