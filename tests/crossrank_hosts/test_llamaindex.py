"""LlamaIndex: the nodes that hold pictures, events, and what a language model gets to read."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

import crossrank as cr

pytest.importorskip("llama_index", reason="llama_index is not installed; make test-hosts")

from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.schema import (
    ImageNode,
    MediaResource,
    MetadataMode,
    Node,
    NodeWithScore,
    QueryBundle,
    TextNode,
)

from crossrank_hosts.llamaindex import CrossrankPostprocessor

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}


def expected(photos: list[Path], query: Any = "a dog") -> list[str]:
    return [f"n{hit.index}" for hit in cr.rerank(query, photos, **SETTINGS)]


def picture_node(form: str, path: Path, id: str) -> Any:
    encoded = base64.b64encode(path.read_bytes()).decode()
    if form == "path":
        return ImageNode(id_=id, image_path=str(path))
    if form == "base64":
        return ImageNode(id_=id, image=encoded)
    if form == "resource path":
        return Node(id_=id, image_resource=MediaResource(path=path))
    if form == "resource data":
        return Node(id_=id, image_resource=MediaResource(data=path.read_bytes()))
    return TextNode(id_=id, text="a text", metadata={"file_path": str(path)})


@pytest.mark.parametrize(
    "form", ["path", "base64", "resource path", "resource data", "metadata"], ids=str
)
def test_pictures_of_every_kind_of_node(photos: list[Path], form: str) -> None:
    nodes = [
        NodeWithScore(node=picture_node(form, path, f"n{n}"), score=None)
        for n, path in enumerate(photos)
    ]
    found = CrossrankPostprocessor(**SETTINGS).postprocess_nodes(nodes, query_str="a dog")
    assert [each.node_id for each in found] == expected(photos)
    assert all(type(a.node) is type(nodes[0].node) for a in found)


def nodes_of(photos: list[Path]) -> list[NodeWithScore]:
    return [
        NodeWithScore(node=ImageNode(id_=f"n{n}", image_path=str(path)), score=0.1 * n)
        for n, path in enumerate(photos)
    ]


def test_a_picture_and_a_text_ask_together(photos: list[Path]) -> None:
    bundle = QueryBundle(query_str="a dog", image_path=str(photos[0]))
    nodes = [NodeWithScore(node=each.node) for each in nodes_of(photos)]
    found = CrossrankPostprocessor(**SETTINGS).postprocess_nodes(nodes, query_bundle=bundle)
    assert [each.node_id for each in found] == expected(photos, [photos[0], "a dog"])


def test_the_event_of_reranking_is_sent(photos: list[Path]) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    made = CrossrankPostprocessor(**SETTINGS, callback_manager=CallbackManager([debug]))
    made.postprocess_nodes(nodes_of(photos), query_str="a dog")
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 1


def test_what_is_written_is_not_read_by_a_model(photos: list[Path]) -> None:
    made = CrossrankPostprocessor(**SETTINGS, keep_retrieval_score=True)
    found = made.postprocess_nodes(nodes_of(photos), query_str="a dog")
    for each in found:
        assert each.metadata["retrieval_score"] == each.metadata["base_score"]
        for mode in (MetadataMode.LLM, MetadataMode.EMBED):
            assert each.node.get_metadata_str(mode) == ""


def test_without_a_query_it_says_so(photos: list[Path]) -> None:
    with pytest.raises(ValueError, match="query_str"):
        CrossrankPostprocessor(**SETTINGS).postprocess_nodes(nodes_of(photos))
