"""``/v1/search``: a query against the gallery, by the base matcher and then by the stages."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import StoreError, UnknownIdError
from crossrank.plugin.parts import own_tokens
from crossrank.plugin.unit_rows import unit
from crossrank.report import word_maps
from crossrank_serve.contents import Job, Piece
from crossrank_serve.dialects.content import read_content
from crossrank_serve.dialects.spans import relevant_regions
from crossrank_serve.encoding import Encoded
from crossrank_serve.engine import Engine
from crossrank_serve.fields import array, count, flag, kind
from crossrank_serve.gallery import Gallery
from crossrank_serve.needs import needed
from crossrank_serve.problems import RequestError, invalid
from crossrank_serve.records import Content, Spans

logger = logging.getLogger(__name__)

DEPTH = 100
"""Candidates of the base search, where a request does not say."""

EXPLAINED = 20
"""Hits that are explained in one answer, best first."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked.

    Parameters
    ----------
    query
        A text, a picture, or both.
    top
        How many hits to return.
    depth
        How many candidates the base search hands over.
    ids
        The candidates instead, if a client knows them.
    explain
        Whether to say what speaks for each hit.
    """

    query: Content
    top: int | None
    depth: int
    ids: tuple[str, ...] | None
    explain: bool


def read_search(body: Mapping[str, Any]) -> Search:
    """Read a request: ``query``, or ``text`` and ``image`` beside each other.

    Raises
    ------
    RequestError
        422 for a field that cannot be used.
    """
    if body.get("query") is not None:
        query = read_content("query", body["query"])
    else:
        given = {name: body[name] for name in ("text", "image") if body.get(name) is not None}
        if not given:
            raise invalid("query is missing; send a text, an image, or both")
        query = read_content("query", given)
    ids = body.get("ids")
    if ids is not None:
        for place, id in enumerate(array("ids", ids)):
            if not isinstance(id, str):
                raise invalid(f"ids[{place}] is a {kind(id)}; send a string")
    top = count(body, "top_n")
    return Search(
        query,
        count(body, "top_k") if top is None else top,
        count(body, "depth") or DEPTH,
        None if ids is None else tuple(ids),
        flag(body, "explain"),
    )


class Searcher:
    """Searches a gallery with an engine's encoder and stages.

    Parameters
    ----------
    engine
        What encodes and scores.
    gallery
        What is searched.
    """

    def __init__(self, engine: Engine, gallery: Gallery) -> None:
        self.engine = engine
        self.gallery = gallery

    def answer(self, search: Search, job: Job) -> dict[str, Any]:
        """Return what a search finds.

        Raises
        ------
        RequestError
            For what cannot be searched; 503 where the gallery was replaced meanwhile, twice.
        """
        for _ in range(2):
            collection = self.gallery.current()
            try:
                found = self._answer(search, job, collection)
            except (StoreError, OSError) as error:
                # the manifest may go and come last: that it is the same tells nothing yet
                logger.error("a search met a gallery that cannot be read: %s", error)
                continue
            if self.gallery.current() is collection:
                return found
        raise RequestError(503, "the gallery is being replaced; try again in a moment", 2)

    def _answer(self, search: Search, job: Job, gallery: cr.Collection) -> dict[str, Any]:
        query, encoded = self._encoded(job, gallery.modality)
        rows, scores = self._candidates(search, query, gallery)
        ranking = cr.rerank(
            encoded.query(job, "query"),
            gallery,
            self.engine.scored,
            ids=rows,
            base_scores=scores,
            encoder=self.engine.encoder,
            cache=False,
        )
        hits = list(ranking)[: search.top]
        shown = hits[:EXPLAINED] if search.explain else []
        evidence = self._evidence(job, encoded, gallery, shown)
        return {
            "object": "search",
            "model": self.engine.name,
            "gallery": len(gallery),
            "stages": [described(stage) for stage in self.engine.scored.stages],
            "hits": [
                self._hit(hit, rows[hit.index], gallery) | evidence.get(hit.id, {}) for hit in hits
            ],
        }

    def _encoded(self, job: Job, listed: str) -> tuple[cr.Collection, Encoded]:
        """Encode the query, for the base search too."""
        like = Piece("gallery", "", None, b"") if listed == "text" else _SOME_PICTURE
        needs = needed(self.engine.scored, self.engine.encoder, Job(job.query, (like,), None, 0))
        wanted = [
            (piece, tuple(dict.fromkeys(("embedding", *needs.queries[piece.modality]))))
            for piece in job.query
        ]
        encoded = self.engine.encode(wanted)
        problem = encoded.problem(job)
        if problem is not None:
            raise problem
        vectors = [encoded.item(piece, "query").features["embedding"] for piece in job.query]
        mean = unit(np.mean(vectors, axis=0)[None]).astype(np.float32)
        kinds = {kind for piece in job.query for kind in piece.modality.split("+")}
        return cr.Collection(["query"], "+".join(sorted(kinds)), embedding=mean), encoded

    def _candidates(
        self, search: Search, query: cr.Collection, gallery: cr.Collection
    ) -> tuple[list[int], list[float]]:
        """Return rows of the gallery and their base scores, best first."""
        if search.ids is None:
            candidates = cr.search(query, gallery, min(search.depth, len(gallery)))
            (pairs,) = candidates.to_lists()
            return [row for row, _ in pairs], [float(score or 0.0) for _, score in pairs]
        try:
            rows = list(dict.fromkeys(gallery.row(id) for id in search.ids))
        except UnknownIdError:
            raise RequestError(404, "the gallery has not all of these ids") from None
        vectors = np.stack([gallery["embedding"][row] for row in rows])
        return rows, (vectors.astype(np.float64) @ query["embedding"][0]).tolist()

    def _hit(self, hit: cr.Hit, row: int, gallery: cr.Collection) -> dict[str, Any]:
        said: dict[str, Any] = {
            "id": hit.id,
            "row": row,
            "rank": hit.rank,
            "score": hit.score,
            "base_score": hit.base_score,
            "base_rank": hit.base_rank,
            "trace": [asdict(each) for each in hit.trace],
        }
        if "text" in gallery:
            said["text"] = gallery["text"][row]
        if "path" in gallery:
            said["picture"] = f"/v1/pictures/{row}"
        return said

    def _evidence(
        self, job: Job, encoded: Encoded, gallery: cr.Collection, hits: Sequence[cr.Hit]
    ) -> dict[str, dict[str, Any]]:
        said: dict[str, dict[str, Any]] = {hit.id: {} for hit in hits}
        if not hits:
            return said
        ids = [hit.id for hit in hits]
        for piece in job.query:
            query = encoded.collection([(piece, "query")])
            for stage, shown in self.engine.scored.explain(query, gallery, "query", ids).items():
                for id, each in zip(ids, shown, strict=False):
                    links = said[id].setdefault("evidence", {}).setdefault(stage, [])
                    links += each.to_dict()["links"]
                    said[id].setdefault("relevant_regions", [])
                    said[id]["relevant_regions"] += relevant_regions({stage: each}, Spans())
            if piece.modality == "text" and _has_maps(query, gallery):
                for id in ids:
                    said[id]["heat"] = heat(query, gallery, id)
        return said


def heat(query: cr.Collection, gallery: cr.Collection, id: str) -> dict[str, Any]:
    """Return how well each patch of a picture fits each word: a map ``[rows][columns]`` a word."""
    own, row = own_tokens(query, 0), gallery.row(id)
    patches = own_tokens(gallery, row)
    maps = word_maps(
        np.asarray(query["tokens"][0])[own],
        np.asarray(gallery["tokens"][row])[patches],
        np.asarray(gallery["token_boxes"][row])[patches],
    )
    values = np.round(maps.values, 4)
    return {
        "words": [str(query["token_text"][0][place]) for place in own],
        "extent": list(maps.extent),
        "values": [
            [[None if np.isnan(v) else float(v) for v in line] for line in each] for each in values
        ],
    }


def _has_maps(query: cr.Collection, gallery: cr.Collection) -> bool:
    return all(name in query for name in ("tokens", "token_text")) and all(
        name in gallery for name in ("tokens", "token_boxes")
    )


def described(stage: cr.Stage) -> dict[str, Any]:
    """Describe a stage so that its fusion can be done again elsewhere."""
    fusion = stage.fusion
    names = {cr.Replace: "replace", cr.RRF: "rrf", cr.WeightedSum: "weighted"}
    said: dict[str, Any] = {
        "name": stage.name,
        "depth": stage.depth,
        "fusion": names.get(type(fusion), "other"),
        "weight": fusion.weight,
    }
    if isinstance(fusion, cr.WeightedSum):
        said["normalise"] = fusion.normalise
    if isinstance(fusion, cr.RRF):
        said["k"] = fusion.k
    return said


_SOME_PICTURE = Piece("gallery", None, b"", b"")
