"""The graph of nearest words as lines and points for an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossrank_knowledge.bank import KnowledgeBank

WIDTH, HEIGHT, MARGIN = 720.0, 420.0, 48.0


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
    width: float = WIDTH
    height: float = HEIGHT


def draw_graph(
    bank: KnowledgeBank, words: Sequence[str], asked: Sequence[str], center: bool = True
) -> Drawing:
    """Lay out the graph of some words, each joined to the three nearest of them."""
    graph = bank.to_networkx(3, words, center)
    import networkx as nx

    places = nx.spring_layout(graph, seed=0, weight="weight")
    nodes = {
        word: Node(
            word,
            round(WIDTH / 2 + float(x) * (WIDTH / 2 - MARGIN), 1),
            round(HEIGHT / 2 + float(y) * (HEIGHT / 2 - MARGIN), 1),
            word in asked,
        )
        for word, (x, y) in places.items()
    }
    lines = [(nodes[a], nodes[b], float(w)) for a, b, w in graph.edges(data="weight")]
    return Drawing(list(nodes.values()), lines)
