"""LlamaIndex, for the common tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class LlamaIndex(Driver):
    """Nodes in, nodes out."""

    module = "crossrank_hosts.llamaindex"
    package = "llama_index"

    def native(self, things: Sequence[Thing]) -> Any:
        from llama_index.core.schema import ImageNode, NodeWithScore, TextNode

        made = []
        for thing in things:
            more: dict[str, Any] = {"id_": thing.id, "metadata": dict(thing.metadata)}
            if thing.text is not None:
                more["text"] = thing.text
            node = TextNode(**more)
            if thing.path is not None:
                node = ImageNode(image_path=str(thing.path), **more)
            made.append(NodeWithScore(node=node, score=thing.score))
        return made

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.llamaindex import CrossrankPostprocessor

        made = CrossrankPostprocessor(top_n=top_k, **settings)
        return made.postprocess_nodes(native, **_asked(query))

    async def arerank(
        self, query: Any, native: Any, top_k: int | None = None, **settings: Any
    ) -> Any:
        from crossrank_hosts.llamaindex import CrossrankPostprocessor

        made = CrossrankPostprocessor(top_n=top_k, **settings)
        return await made.apostprocess_nodes(native, **_asked(query))

    def told(self, result: Any) -> list[Told]:
        return [
            Told(
                each.node_id,
                each.score,
                each.metadata["base_score"],
                each.metadata["base_rank"],
                each.metadata["trace"],
                each.metadata,
            )
            for each in result
        ]

    def again(self, **settings: Any) -> Any:
        from crossrank_hosts.llamaindex import CrossrankPostprocessor

        made = CrossrankPostprocessor(**settings)
        return made, CrossrankPostprocessor.from_dict(made.to_dict())

    def asking(self, picture: Path) -> Any:
        from llama_index.core.schema import QueryBundle

        return QueryBundle(query_str="", image_path=str(picture))


def _asked(query: Any) -> dict[str, Any]:
    return {"query_str": query} if isinstance(query, str) else {"query_bundle": query}
