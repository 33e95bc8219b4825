"""Qdrant, for the common tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class Qdrant(Driver):
    """Points in, points out."""

    module = "crossrank_hosts.qdrant"
    package = "qdrant_client"
    partial = False  # a point without a score is none of a search

    def native(self, things: Sequence[Thing]) -> Any:
        from qdrant_client.models import Record, ScoredPoint

        made: list[Any] = []
        for place, thing in enumerate(things):
            payload = dict(thing.metadata)
            if thing.path is not None:
                payload["image_path"] = str(thing.path)
            if thing.text is not None:
                payload["text"] = thing.text
            if thing.score is None:
                made.append(Record(id=place, payload=payload or None))
            else:
                made.append(ScoredPoint(id=place, version=0, score=thing.score, payload=payload))
        return made

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.qdrant import rerank_points

        return rerank_points(query, native, top_k=top_k, **settings)

    async def arerank(
        self, query: Any, native: Any, top_k: int | None = None, **settings: Any
    ) -> Any:
        from crossrank_hosts.qdrant import arerank_points

        return await arerank_points(query, native, top_k=top_k, **settings)

    def told(self, result: Any) -> list[Told]:
        return [
            Told(
                f"t{each.id}",
                each.payload["relevance_score"],
                each.payload["base_score"],
                each.payload["base_rank"],
                each.payload["trace"],
                each.payload,
            )
            for each in result
        ]
