"""Elasticsearch, OpenSearch and Vespa, for the common tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toys.hosts.driver import Driver, Thing, Told


class OpenSearch(Driver):
    """A dictionary in, a dictionary out."""

    module = "crossrank_hosts.opensearch"
    package = "opensearchpy"

    def native(self, things: Sequence[Thing]) -> Any:
        hits = []
        for thing in things:
            source = dict(thing.metadata)
            if thing.path is not None:
                source["image_path"] = str(thing.path)
            if thing.text is not None:
                source["text"] = thing.text
            hits.append({"_index": "p", "_id": thing.id, "_score": thing.score, "_source": source})
        return {"took": 1, "hits": {"total": {"value": len(hits)}, "max_score": 1, "hits": hits}}

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.opensearch import rerank_response

        return rerank_response(query, native, top_k=top_k, **settings)

    async def arerank(
        self, query: Any, native: Any, top_k: int | None = None, **settings: Any
    ) -> Any:
        from crossrank_hosts.opensearch import arerank_response

        return await arerank_response(query, native, top_k=top_k, **settings)

    def told(self, result: Any) -> list[Told]:
        assert result["took"] == 1
        return [
            Told(
                each["_id"],
                each["_score"],
                each["_source"]["base_score"],
                each["_source"]["base_rank"],
                each["_source"]["trace"],
                each["_source"],
            )
            for each in result["hits"]["hits"]
        ]


class Elasticsearch(OpenSearch):
    """A response of the client in, one out."""

    module = "crossrank_hosts.elasticsearch"
    package = "elasticsearch"

    def native(self, things: Sequence[Thing]) -> Any:
        from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig, ObjectApiResponse

        meta = ApiResponseMeta(200, "1.1", HttpHeaders(), 0.1, NodeConfig("http", "localhost", 1))
        return ObjectApiResponse(body=super().native(things), meta=meta)

    def same(self, one: Any, other: Any) -> bool:
        return bool(one.body == other.body)


class Vespa(Driver):
    """A response in, a response out."""

    module = "crossrank_hosts.vespa"
    package = "vespa"

    def native(self, things: Sequence[Thing]) -> Any:
        from vespa.io import VespaQueryResponse

        hits = []
        for thing in things:
            fields = {**thing.metadata, "text": thing.text}
            if thing.path is not None:
                fields["image_path"] = str(thing.path)
            hits.append({"id": thing.id, "relevance": thing.score, "fields": fields})
        json = {"root": {"id": "toplevel", "children": hits}}
        return VespaQueryResponse(json=json, status_code=200, url="http://localhost")

    def rerank(self, query: Any, native: Any, top_k: int | None = None, **settings: Any) -> Any:
        from crossrank_hosts.vespa import rerank_response

        return rerank_response(query, native, top_k=top_k, **settings)

    async def arerank(
        self, query: Any, native: Any, top_k: int | None = None, **settings: Any
    ) -> Any:
        from crossrank_hosts.vespa import arerank_response

        return await arerank_response(query, native, top_k=top_k, **settings)

    def told(self, result: Any) -> list[Told]:
        return [
            Told(
                each["id"],
                each["relevance"],
                each["fields"]["base_score"],
                each["fields"]["base_rank"],
                each["fields"]["trace"],
                each["fields"],
            )
            for each in result.hits
        ]
