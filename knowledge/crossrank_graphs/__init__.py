"""Scene graphs of texts: parse them, compare them, change them.

Importing this package loads neither spaCy nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_graphs.editing import KINDS, Edit, edits
    from crossrank_graphs.factual import FactualParser
    from crossrank_graphs.featured import graphs_of, with_graphs
    from crossrank_graphs.graph import Fact, Graph, Object, Relation, Span, graph_of_names
    from crossrank_graphs.matching import Agreement, Comparison, compare
    from crossrank_graphs.parsing import GraphParser, RuleParser, parse
    from crossrank_graphs.precomputed import PrecomputedGraphs, cora_graph
    from crossrank_graphs.tuples import graph_of_tuples, tuples_of

__getattr__ = lazy_names(__name__)

__all__ = [
    "KINDS",
    "Agreement",
    "Comparison",
    "Edit",
    "Fact",
    "FactualParser",
    "Graph",
    "GraphParser",
    "Object",
    "PrecomputedGraphs",
    "Relation",
    "RuleParser",
    "Span",
    "compare",
    "cora_graph",
    "edits",
    "graph_of_names",
    "graph_of_tuples",
    "graphs_of",
    "parse",
    "tuples_of",
    "with_graphs",
]
