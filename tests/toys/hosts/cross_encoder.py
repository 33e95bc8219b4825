"""The cross-encoder of sentence-transformers, for the common tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class CrossEncoder(Driver):
    """Documents in, places and scores out."""

    module = "crossrank_hosts.cross_encoder"
    base = False
    metadata = False

    def native(self, things: Sequence[Thing]) -> Any:
        made: list[Any] = []
        for thing in things:
            if thing.path is not None and thing.text is not None:
                made.append({"image": str(thing.path), "text": thing.text})
            else:
                made.append(str(thing.path) if thing.path is not None else thing.text or "")
        return made

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.cross_encoder import CrossEncoderLike

        return CrossEncoderLike(**settings).rank(query, native, top_k)

    def told(self, result: Any) -> list[Told]:
        return [Told(f"t{each['corpus_id']}", each["score"]) for each in result]
