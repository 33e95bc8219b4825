"""What the examples of docs/hosts.md take for granted: a host's result over two pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from toys.hosts.driver import Thing
from toys.hosts.haystack import Haystack
from toys.hosts.langchain import LangChain
from toys.hosts.llamaindex import LlamaIndex

Names: TypeAlias = Callable[[Sequence[Thing]], dict[str, Any]]

NAMES: dict[str, tuple[str, Names]] = {
    "LangChain": ("langchain_core", lambda things: {"documents": LangChain().native(things)}),
    "LlamaIndex": ("llama_index", lambda things: {"nodes": LlamaIndex().native(things)}),
    "Haystack": ("haystack", lambda things: {"documents": Haystack().native(things)}),
    "sentence-transformers": (
        "",
        lambda things: {"pictures": [str(thing.path) for thing in things]},
    ),
}
"""Per section the package it needs, and the names its example uses."""
