"""Chroma, for the common tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class Chroma(Driver):
    """A result in, a result out."""

    module = "crossrank_hosts.chroma"
    package = "chromadb"

    def native(self, things: Sequence[Thing]) -> Any:
        from chromadb.api.types import QueryResult

        return QueryResult(
            ids=[[thing.id for thing in things]],
            embeddings=None,
            documents=[[thing.text for thing in things]],
            uris=[[None if thing.path is None else str(thing.path) for thing in things]],
            metadatas=[[dict(thing.metadata) or None for thing in things]],
            distances=[[None if thing.score is None else -thing.score for thing in things]],
            data=None,
            included=["metadatas", "documents", "uris", "distances"],
        )

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.chroma import rerank_result

        return rerank_result(query, native, top_k=top_k, **settings)

    async def arerank(
        self, query: Any, native: Any, top_k: int | None = None, **settings: Any
    ) -> Any:
        from crossrank_hosts.chroma import arerank_result

        return await arerank_result(query, native, top_k=top_k, **settings)

    def told(self, result: Any) -> list[Told]:
        return [
            Told(
                id,
                metadata["relevance_score"],
                metadata["base_score"],
                metadata["base_rank"],
                metadata["trace"],
                metadata,
            )
            for id, metadata in zip(result["ids"][0], result["metadatas"][0], strict=True)
        ]
