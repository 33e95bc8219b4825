"""Graphs as the feature ``graph`` of a collection of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import crossrank as cr
from crossrank.errors import InputError, MissingFeatureError
from crossrank_graphs.graph import Graph
from crossrank_graphs.parsing import GraphParser, RuleParser, parse

FEATURE = "graph"


def with_graphs(texts: cr.Collection, parser: GraphParser | None = None) -> cr.Collection:
    """Return a collection that has the graph of each text as its feature ``graph``.

    Saved with it, the graphs are there for every later run; what reads them parses nothing.

    Parameters
    ----------
    texts
        With the feature ``text``.
    parser
        `RuleParser` by default.

    Raises
    ------
    MissingFeatureError
        If the collection has no ``text``.
    """
    graphs = parse(_sentences(texts, range(len(texts))), parser)
    return texts.with_features(graph=[graph.to_dict() for graph in graphs])


def graphs_of(
    texts: cr.Collection,
    rows: Sequence[int],
    parser: GraphParser | None = None,
    cache_folder: Path | None = None,
) -> list[Graph]:
    """Return the graphs of some texts: those of the feature ``graph``, or what a parser finds.

    Parameters
    ----------
    texts, rows
        The collection, and which of its texts.
    parser
        `RuleParser` by default; it is not asked where the collection has graphs.
    cache_folder
        Where graphs that were found are kept for the next run; None for nowhere.

    Raises
    ------
    InputError
        Naming the text whose feature is no graph.
    MissingFeatureError
        If the collection has neither ``graph`` nor ``text``.
    """
    if FEATURE in texts:
        return [_graph(texts[FEATURE][row], texts.ids[row]) for row in rows]
    sentences = _sentences(texts, rows)
    if cache_folder is None or not sentences:
        return parse(sentences, parser)
    maker = RuleParser() if parser is None else parser
    folder = cache_folder / f"graphs-{cr.fingerprint([maker.fingerprint(), sentences])}"
    if not folder.is_dir():
        found = [graph.to_dict() for graph in parse(sentences, parser)]
        cr.Collection(range(len(found)), "text", graph=found).save(folder)
    return [Graph.from_dict(entry) for entry in cr.Collection.open(folder)[FEATURE]]


def _sentences(texts: cr.Collection, rows: Sequence[int]) -> list[str]:
    if "text" not in texts:
        raise MissingFeatureError(
            "graphs: the texts have neither the feature 'graph' nor 'text'; encode them again, "
            "or give them with_features(text=...)"
        )
    return [str(texts["text"][row]) for row in rows]


def _graph(entry: Any, id: str) -> Graph:
    if isinstance(entry, Graph):
        return entry
    if not hasattr(entry, "get"):
        raise InputError(
            f"graphs: the feature 'graph' of the text {id!r} is {str(entry)[:40]!r}; give the form "
            "of Graph.to_dict, as crossrank_graphs.with_graphs does"
        )
    return Graph.from_dict(entry)
