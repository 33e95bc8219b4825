"""LlamaIndex: a node postprocessor that reranks image nodes, text nodes and nodes of both.

engine = index.as_query_engine(node_postprocessors=[CrossrankPostprocessor(top_n=5)])
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossrank.errors import InputError
from crossrank.plugin.optional import needs

with needs("crossrank_hosts.llamaindex", "llamaindex", "llama_index")():
    from llama_index.core.bridge.pydantic import ConfigDict
    from llama_index.core.callbacks import CBEventType, EventPayload
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle

from crossrank_hosts._call import ACCOUNT, Found, account
from crossrank_hosts._contents import decoded, path_of, picture_in, shown
from crossrank_hosts._fields import LookFields

dispatcher = get_dispatcher(__name__)


class CrossrankPostprocessor(LookFields, BaseNodePostprocessor):
    """Reranks the nodes of a retriever.

    The nodes that come back are copies in new `NodeWithScore`, with ``base_score``, ``base_rank``,
    ``relevance_score`` and ``trace`` among their metadata, which are kept out of what a language
    model or an embedding gets to read.

    Parameters
    ----------
    reranker, encoder, gallery, top_n, show, image_key, params, …
        See `crossrank_hosts._fields.LookFields`.
    keep_retrieval_score
        Whether to write the score before as ``retrieval_score`` too, as LlamaIndex's own do.
    """

    keep_retrieval_score: bool = False

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which it is saved."""
        return "CrossrankPostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise InputError("CrossrankPostprocessor: give query_str or query_bundle")
        count = len(nodes) if self.top_n is None else self.top_n
        name = self.reranker if isinstance(self.reranker, str) else type(self.reranker).__name__
        dispatcher.event(
            ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=count, model_name=name)
        )
        payload = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: name,
            EventPayload.QUERY_STR: query_bundle.query_str,
            EventPayload.TOP_K: count,
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            best = self._best(nodes, query_bundle)
            event.on_end(payload={EventPayload.NODES: best})
        dispatcher.event(ReRankEndEvent(nodes=best))
        return best

    def _best(self, nodes: list[NodeWithScore], query: QueryBundle) -> list[NodeWithScore]:
        hits = self._look()(_asked(query), [self._found(each) for each in nodes], self.top_n)
        return [
            NodeWithScore(
                node=_copied(nodes[hit.index].node, self._told(account(hit))), score=hit.score
            )
            for hit in hits
        ]

    def _told(self, told: dict[str, Any]) -> dict[str, Any]:
        if self.keep_retrieval_score:
            told["retrieval_score"] = told["base_score"]
        return told

    def _found(self, scored: NodeWithScore) -> Found:
        node = scored.node
        image = _picture(node)
        if image is None:
            image = picture_in(node.metadata, self.image_key)
        return Found(node.node_id, *shown(image, node.get_content()), scored.score)


def _picture(node: BaseNode) -> Any:
    """Return what an image node, or the image of a multimodal one, holds or names."""
    if getattr(node, "image", None):
        return decoded(node.image)
    if getattr(node, "image_path", None):
        return path_of(str(node.image_path))
    resource = getattr(node, "image_resource", None)
    if resource is not None and resource.data is not None:
        return decoded(resource.data)
    if resource is not None and resource.path is not None:
        return Path(resource.path)
    url = getattr(node, "image_url", None) or getattr(resource, "url", None)
    return None if url is None else str(url)


def _asked(query: QueryBundle) -> Any:
    if query.image_path is None:
        return query.query_str
    picture = Path(query.image_path)
    return [picture, query.query_str] if query.query_str.strip() else picture


HIDDEN = (*ACCOUNT, "retrieval_score")
"""What neither a language model nor an embedding gets to read."""


def _copied(node: BaseNode, told: dict[str, Any]) -> BaseNode:
    return node.model_copy(
        update={
            "metadata": {**node.metadata, **told},
            "excluded_embed_metadata_keys": _with_ours(node.excluded_embed_metadata_keys),
            "excluded_llm_metadata_keys": _with_ours(node.excluded_llm_metadata_keys),
        }
    )


def _with_ours(hidden: list[str]) -> list[str]:
    return [*hidden, *(key for key in HIDDEN if key not in hidden)] if hidden else list(HIDDEN)
