"""Graphs that somebody else's parser has made: CORA's JSON, and lines of our own form."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from crossrank.errors import FormatError, InputError
from crossrank.plugin.files import read_json
from crossrank_graphs.graph import Graph, graph_of_names


class PrecomputedGraphs:
    """A `GraphParser` that looks graphs up by their text.

    Parameters
    ----------
    graphs
        One per text; of two with one text the first counts.
    """

    def __init__(self, graphs: Iterable[Graph]) -> None:
        self._by_text: dict[str, Graph] = {}
        for graph in graphs:
            self._by_text.setdefault(graph.text, graph)

    @classmethod
    def open(cls, path: str | Path) -> PrecomputedGraphs:
        """Read a JSON file in CORA's form or a list of `Graph.to_dict`.

        CORA's form maps a caption's number to ``{"caption", "entities": [{"id", "name",
        "attributes"}], "relations": [[subject id, object id, [verbs], preposition]]}``.

        Raises
        ------
        FormatError
            Saying which caption lacks which key, or why the file cannot be read.
        """
        try:
            data = read_json(Path(path))
        except (OSError, ValueError) as error:
            raise FormatError(f"graphs: {path} cannot be read as JSON: {error}") from error
        if isinstance(data, Mapping):
            return cls(cora_graph(key, entry) for key, entry in data.items())
        if isinstance(data, list):
            return cls(Graph.from_dict(entry) for entry in data)
        raise FormatError(f"graphs: {path} holds neither an object (CORA's form) nor a list")

    def graphs(self, texts: Iterable[str]) -> Iterator[Graph]:
        """Yield the graph of each text.

        Raises
        ------
        InputError
            Naming the first text that has none.
        """
        for text in texts:
            if text not in self._by_text:
                raise InputError(f"graphs: there is no graph of the text {text!r}")
            yield self._by_text[text]

    def fingerprint(self) -> str:
        """Return a digest of the graphs."""
        import hashlib

        digest = hashlib.sha256()
        for graph in self._by_text.values():
            digest.update(json.dumps(graph.to_dict(), sort_keys=True).encode())
        return f"precomputed:{digest.hexdigest()[:16]}"


def cora_graph(key: str, entry: Any) -> Graph:
    """Read one caption of CORA's JSON; a relation without a phrase becomes ``and``.

    Raises
    ------
    FormatError
        Saying which caption lacks which key, or which relation ends nowhere.
    """
    try:
        text = str(entry["caption"])
        entities: Sequence[Any] = entry["entities"]
        places = {entity["id"]: place for place, entity in enumerate(entities)}
        objects = [
            (str(entity["name"]), [str(word) for word in entity["attributes"]])
            for entity in entities
        ]
        edges = [
            (subject, " ".join((*verbs, preposition)).strip(), target)
            for subject, target, verbs, preposition in entry["relations"]
        ]
    except KeyError as error:
        raise FormatError(f"graphs: caption {key!r} lacks the key {error}") from error
    except (TypeError, ValueError) as error:
        raise FormatError(f"graphs: caption {key!r} has not CORA's form: {error}") from error
    if len(places) != len(entities):
        raise FormatError(f"graphs: caption {key!r} has two entities of one id")
    for subject, predicate, target in edges:
        for end in (subject, target):
            if not isinstance(end, Hashable) or end not in places:
                raise FormatError(
                    f"graphs: caption {key!r} has the relation {predicate!r} to the entity "
                    f"{end!r}, which is not there"
                )
    relations = [(places[a], predicate or "and", places[b]) for a, predicate, b in edges]
    return graph_of_names(text, objects, relations)
