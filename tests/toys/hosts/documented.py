"""What the examples of docs/hosts.md take for granted: a host's result over two pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from toys.hosts.chroma import Chroma
from toys.hosts.driver import Thing
from toys.hosts.haystack import Haystack
from toys.hosts.langchain import LangChain
from toys.hosts.llamaindex import LlamaIndex
from toys.hosts.pyterrier import PyTerrier
from toys.hosts.qdrant import Qdrant

Names: TypeAlias = Callable[[Sequence[Thing]], dict[str, Any]]


def lance_table(things: Sequence[Thing]) -> dict[str, Any]:
    """Return a real table, in memory."""
    import lancedb

    rows = [{"vector": [0.0, float(n)], "image_path": str(t.path)} for n, t in enumerate(things)]
    return {"table": lancedb.connect("memory://").create_table("photos", rows)}


def retriever(things: Sequence[Thing]) -> dict[str, Any]:
    """Return a transformer that finds all things."""
    import pyterrier as pt

    frame = PyTerrier().native(things)
    return {
        "retriever": pt.apply.generic(
            lambda topics: topics.merge(frame, how="cross").assign(rank=range(len(frame)))
        )
    }


NAMES: dict[str, tuple[str, Names]] = {
    "LangChain": ("langchain_core", lambda things: {"documents": LangChain().native(things)}),
    "LlamaIndex": ("llama_index", lambda things: {"nodes": LlamaIndex().native(things)}),
    "Haystack": ("haystack", lambda things: {"documents": Haystack().native(things)}),
    "Chroma": ("chromadb", lambda things: {"result": Chroma().native(things)}),
    "Qdrant": ("qdrant_client", lambda things: {"points": Qdrant().native(things)}),
    "LanceDB": ("lancedb", lance_table),
    "PyTerrier": ("pyterrier", retriever),
    "sentence-transformers": (
        "",
        lambda things: {"pictures": [str(thing.path) for thing in things]},
    ),
}
"""Per section the package it needs, and the names its example uses."""
