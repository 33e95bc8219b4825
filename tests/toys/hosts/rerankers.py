"""rerankers, for the common tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class Rerankers(Driver):
    """Documents in, ranked results out."""

    module = "crossrank_hosts.rerankers"
    package = "rerankers.documents"  # a folder of ours is called rerankers
    scored = False  # a document of rerankers has none
    limited = False  # its results have a top_k of their own

    def native(self, things: Sequence[Thing]) -> Any:
        from rerankers.documents import Document

        return [
            Document(
                thing.text or "",
                thing.id,
                dict(thing.metadata),
                "text" if thing.path is None else "image",
                None if thing.path is None else str(thing.path),
            )
            for thing in things
        ]

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.rerankers import CrossrankRanker

        return CrossrankRanker(**settings).rank(query, native)

    async def arerank(
        self, query: Any, native: Any, top_k: int | None = None, **settings: Any
    ) -> Any:
        from crossrank_hosts.rerankers import CrossrankRanker

        return await CrossrankRanker(**settings).rank_async(query, native)

    def told(self, result: Any) -> list[Told]:
        return [
            Told(
                each.document.doc_id,
                each.score,
                each.document.metadata["base_score"],
                each.document.metadata["base_rank"],
                each.document.metadata["trace"],
                each.document.metadata,
            )
            for each in result.results
        ]

    def same(self, one: Any, other: Any) -> bool:
        return [repr(each) for each in one] == [repr(each) for each in other]
