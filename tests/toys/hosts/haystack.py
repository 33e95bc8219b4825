"""Haystack, for the common tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class Haystack(Driver):
    """Documents in, documents out."""

    module = "crossrank_hosts.haystack"
    package = "haystack"
    duplicates = False

    def native(self, things: Sequence[Thing]) -> Any:
        from haystack import Document

        made = []
        for thing in things:
            meta = dict(thing.metadata)
            if thing.path is not None:
                meta["file_path"] = str(thing.path)
            made.append(Document(id=thing.id, content=thing.text, meta=meta, score=thing.score))
        return made

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.haystack import CrossrankRanker

        return CrossrankRanker(**settings).run(query, native, top_k)

    async def arerank(
        self, query: Any, native: Any, top_k: int | None = None, **settings: Any
    ) -> Any:
        from crossrank_hosts.haystack import CrossrankRanker

        return await CrossrankRanker(**settings).run_async(query, native, top_k)

    def told(self, result: Any) -> list[Told]:
        return [
            Told(
                each.id,
                each.score,
                each.meta["base_score"],
                each.meta["base_rank"],
                each.meta["trace"],
                each.meta,
            )
            for each in result["documents"]
        ]

    def again(self, **settings: Any) -> Any:
        from haystack import Pipeline

        from crossrank_hosts.haystack import CrossrankRanker

        made = CrossrankRanker(**settings)
        pipeline = Pipeline()
        pipeline.add_component("ranker", made)
        return made, Pipeline.loads(pipeline.dumps()).get_component("ranker")

    def settings(self, made: Any) -> Any:
        return made.to_dict()
