"""The graph of nearest words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crossrank.plugin.optional import needs
from crossrank_knowledge.vectors import top_k

if TYPE_CHECKING:
    import networkx as nx

    from crossrank_knowledge.bank import KnowledgeBank


def nearest_graph(
    bank: KnowledgeBank, k: int = 5, words: Sequence[str] | None = None, center: bool = False
) -> nx.Graph[str]:
    """Return a graph in which each word is joined to the k words nearest to it.

    See `KnowledgeBank.to_networkx`.
    """
    with needs("the graph of words", "knowledge", "networkx")():
        import networkx as nx
    rows = range(len(bank)) if words is None else [bank.row(word) for word in words]
    names = [bank.words[row] for row in rows]
    vectors = bank.unit_prototypes(center)[list(rows)]
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(
        (name, {"count": int(bank.counts[row])}) for name, row in zip(names, rows, strict=True)
    )
    for place, name in enumerate(names):
        cosines = vectors @ vectors[place]
        cosines[place] = -np.inf
        for other in top_k(cosines, min(k, len(names) - 1)):
            graph.add_edge(name, names[other], weight=float(cosines[other]))
    return graph
