"""What the examples of docs/hosts.md take for granted: a host's result over two pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from PIL import Image

import crossrank as cr
from toys.hosts.chroma import Chroma
from toys.hosts.driver import Thing
from toys.hosts.dspy import DSPy
from toys.hosts.haystack import Haystack
from toys.hosts.langchain import LangChain
from toys.hosts.llamaindex import LlamaIndex
from toys.hosts.pyterrier import PyTerrier
from toys.hosts.qdrant import Qdrant
from toys.hosts.rerankers import Rerankers
from toys.hosts.search_engines import Elasticsearch, OpenSearch, Vespa
from toys.hosts.txtai import Txtai
from toys.hosts.weaviate import Weaviate

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


def ranked(things: Sequence[Thing]) -> dict[str, Any]:
    """Return rankings of two queries, with their qrels."""
    candidates = [cr.Item(thing.id, image=thing.path) for thing in things]
    rankings = cr.rerank_many(["a dog", "a cat"], [candidates] * 2, "dot", encoder="toy")
    return {"rankings": rankings, "qrels": {"0": things[0].id, "1": things[1].id}}


def local_task(things: Sequence[Thing]) -> dict[str, Any]:
    """Return a task of mteb over two pictures, of which either belongs to one query."""
    from toys.hosts.mteb_task import task_of

    pictures = {thing.id: Image.open(thing.path).convert("RGB") for thing in things if thing.path}
    texts = {"q0": "a dog", "q1": "a cat"}
    relevant = {query: {id: 1} for query, id in zip(texts, pictures, strict=True)}
    return {"task": task_of(texts, pictures, relevant, None)}


NAMES: dict[str, tuple[str, Names]] = {
    "LangChain": ("langchain_core", lambda things: {"documents": LangChain().native(things)}),
    "LlamaIndex": ("llama_index", lambda things: {"nodes": LlamaIndex().native(things)}),
    "Haystack": ("haystack", lambda things: {"documents": Haystack().native(things)}),
    "Chroma": ("chromadb", lambda things: {"result": Chroma().native(things)}),
    "Qdrant": ("qdrant_client", lambda things: {"points": Qdrant().native(things)}),
    "LanceDB": ("lancedb", lance_table),
    "PyTerrier": ("pyterrier", retriever),
    "Weaviate": ("weaviate", lambda things: {"result": Weaviate().native(things)}),
    "Elasticsearch": ("elasticsearch", lambda things: {"response": Elasticsearch().native(things)}),
    "OpenSearch": ("opensearchpy", lambda things: {"response": OpenSearch().native(things)}),
    "Vespa": ("vespa", lambda things: {"response": Vespa().native(things)}),
    "rerankers": (Rerankers.package, lambda things: {"documents": Rerankers().native(things)}),
    "txtai": ("", lambda things: {"rows": Txtai().native(things)}),
    "DSPy": ("dspy", lambda things: {"retriever": lambda _: DSPy().native(things)}),
    "mteb": ("mteb", local_task),
    "ranx": ("ranx", ranked),
    "ir-measures": ("ir_measures", ranked),
    "CLIP_benchmark": ("clip_benchmark", ranked),
    "sentence-transformers": (
        "",
        lambda things: {"pictures": [str(thing.path) for thing in things]},
    ),
}
"""Per section the package it needs, and the names its example uses."""
