"""Weaviate, for the common tests."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class Weaviate(Driver):
    """Objects in, objects out."""

    module = "crossrank_hosts.weaviate"
    package = "weaviate"

    def native(self, things: Sequence[Thing]) -> Any:
        from weaviate.collections.classes.internal import MetadataReturn, Object, QueryReturn

        made = []
        for thing in things:
            properties = {**thing.metadata, "text": thing.text}
            if thing.path is not None:
                properties["image_path"] = str(thing.path)
            made.append(
                Object(
                    uuid=uuid.UUID(int=int(thing.id[1:])),
                    metadata=MetadataReturn(score=thing.score),
                    properties=properties,
                    references=None,
                    vector={},
                    collection="Photos",
                )
            )
        return QueryReturn(objects=made)

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.weaviate import rerank_objects

        return rerank_objects(query, native, top_k=top_k, **settings)

    async def arerank(
        self, query: Any, native: Any, top_k: int | None = None, **settings: Any
    ) -> Any:
        from crossrank_hosts.weaviate import arerank_objects

        return await arerank_objects(query, native, top_k=top_k, **settings)

    def told(self, result: Any) -> list[Told]:
        return [
            Told(
                f"t{each.uuid.int}",
                each.metadata.rerank_score,
                each.properties["base_score"],
                each.properties["base_rank"],
                each.properties["trace"],
                each.properties,
            )
            for each in result.objects
        ]
