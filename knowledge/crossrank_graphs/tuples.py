"""Graphs as strings of tuples, in the form of the FACTUAL benchmark."""

from __future__ import annotations

import re
from collections.abc import Iterable

from crossrank.errors import FormatError
from crossrank_graphs.graph import Graph, graph_of_names

_TUPLE = re.compile(r"\(([^()]*)\)")


def graph_of_tuples(text: str, tuples: str) -> Graph:
    """Read ``( man , wear , shirt ) , ( shirt , is , red ) , ( tree )``.

    Names stand for objects, so that two dogs of one text are one object here.

    Parameters
    ----------
    text
        The caption.
    tuples
        Tuples of a name, or of subject, predicate and object; ``is`` gives an attribute.

    Raises
    ------
    FormatError
        Naming the caption and the tuple that has not one or three parts.
    """
    names: dict[str, list[str]] = {}
    relations: list[tuple[str, str, str]] = []
    for inside in _TUPLE.findall(tuples):
        parts = [part.strip() for part in re.split(r"\s,\s|,\s", inside.strip())]
        if len(parts) not in (1, 3) or not all(parts):
            raise FormatError(f"graph of {text!r}: the tuple ({inside}) has not one or three parts")
        words = names.setdefault(parts[0], [])
        if len(parts) == 3 and parts[1] == "is":
            if parts[2] not in words:
                words.append(parts[2])
        elif len(parts) == 3:
            names.setdefault(parts[2], [])
            relations.append((parts[0], parts[1], parts[2]))
    if tuples.strip() and not names:
        raise FormatError(f"graph of {text!r}: {tuples[:60]!r} holds no tuple in brackets")
    places = {name: place for place, name in enumerate(names)}
    edges = [(places[a], predicate, places[b]) for a, predicate, b in relations]
    return graph_of_names(text, names.items(), edges)


def tuples_of(graph: Graph) -> str:
    """Write a graph as `graph_of_tuples` reads it; an object without any company stands alone."""
    ends = {end.index for one in graph.relations for end in (one.subject, one.object)}
    parts: Iterable[str] = (
        *(f"( {r.subject.name} , {r.predicate} , {r.object.name} )" for r in graph.relations),
        *(f"( {o.name} , is , {word} )" for o in graph.objects for word in o.attributes),
        *(f"( {o.name} )" for o in graph.objects if not o.attributes and o.index not in ends),
    )
    return " , ".join(parts)
