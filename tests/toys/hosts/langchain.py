"""LangChain, for the common tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class LangChain(Driver):
    """Documents in, documents out."""

    module = "crossrank_hosts.langchain"
    package = "langchain_core"

    def native(self, things: Sequence[Thing]) -> Any:
        from langchain_core.documents import Document

        made = []
        for thing in things:
            metadata = dict(thing.metadata)
            if thing.path is not None:
                metadata["image_path"] = str(thing.path)
            if thing.score is not None:
                metadata["score"] = thing.score
            made.append(Document(id=thing.id, page_content=thing.text or "", metadata=metadata))
        return made

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.langchain import CrossrankCompressor

        return CrossrankCompressor(top_n=top_k, **settings).compress_documents(native, query)

    async def arerank(
        self, query: Any, native: Any, top_k: int | None = None, **settings: Any
    ) -> Any:
        from crossrank_hosts.langchain import CrossrankCompressor

        made = CrossrankCompressor(top_n=top_k, **settings)
        return await made.acompress_documents(native, query)

    def told(self, result: Any) -> list[Told]:
        return [
            Told(
                each.id,
                each.metadata["relevance_score"],
                each.metadata["base_score"],
                each.metadata["base_rank"],
                each.metadata["trace"],
                each.metadata,
            )
            for each in result
        ]

    def again(self, **settings: Any) -> Any:
        from langchain_core.load import dumps, loads

        from crossrank_hosts.langchain import CrossrankCompressor

        made = CrossrankCompressor(**settings)
        return made, loads(
            dumps(made), allowed_objects=[CrossrankCompressor], valid_namespaces=["crossrank_hosts"]
        )
