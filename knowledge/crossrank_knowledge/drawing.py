"""The graph of nearest words as lines and points for an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossrank_knowledge.bank import KnowledgeBank

WIDTH, ROW_HEIGHT, MARGIN = 1000.0, 380.0, 60.0
PER_ROW = 28
"""So many words stand side by side before another row is begun."""


@dataclass(frozen=True, slots=True)
class Node:
    """A word and where it stands."""

    word: str
    x: float
    y: float
    asked: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """Points, and lines between them with their cosine."""

    nodes: list[Node]
    lines: list[tuple[Node, Node, float]]
    width: float
    height: float


def draw_graph(
    bank: KnowledgeBank, words: Sequence[str], asked: Sequence[str], center: bool = True
) -> Drawing:
    """Lay out the graph of some words, each joined to the three nearest of them.

    Parts that are not joined stand side by side, each as wide as it has words.
    """
    graph = bank.to_networkx(3, words, center)
    import networkx as nx

    rows: list[list[Any]] = [[]]
    for part in nx.connected_components(graph):
        if rows[-1] and sum(map(len, rows[-1])) + len(part) > PER_ROW:
            rows.append([])
        rows[-1].append(part)
    nodes: dict[str, Node] = {}
    for number, row in enumerate(rows):
        left, share = 0.0, WIDTH / sum(map(len, row))
        for part in row:
            width = share * len(part)
            inner = max(width - 2 * MARGIN, width / 3)
            places = nx.kamada_kawai_layout(graph.subgraph(sorted(part)), weight=None)
            corners = np.array(list(places.values()))
            low, extent = corners.min(axis=0), np.maximum(np.ptp(corners, axis=0), 1e-6)
            for word, place in places.items():
                x, y = (place - low) / extent if len(part) > 1 else (0.5, 0.5)
                nodes[word] = Node(
                    word,
                    round(left + (width - inner) / 2 + float(x) * inner, 1),
                    round(ROW_HEIGHT * number + MARGIN + float(y) * (ROW_HEIGHT - 2 * MARGIN), 1),
                    word in asked,
                )
            left += width
    lines = [(nodes[a], nodes[b], float(w)) for a, b, w in graph.edges(data="weight")]
    return Drawing(list(nodes.values()), lines, WIDTH, ROW_HEIGHT * len(rows))
