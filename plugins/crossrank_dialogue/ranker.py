"""Ranks a gallery for queries of several texts whose scores are added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError
from crossrank_dialogue.nearest import Nearest
from crossrank_dialogue.queries import EncodedTexts
from crossrank_dialogue.reformulators import Part

Floats = NDArray[np.float64]


class PartRanker:
    """Searches with all parts of a query at once, and reranks what is found for each part.

    The weighted sum of the parts' cosines is one inner product, so one exact search finds the
    candidates; every part then goes through the pipeline with the same candidates and its own base
    scores, and the final scores are added up by weight.

    Parameters
    ----------
    pipeline
        Reranks; None for the search alone.
    gallery
        With ``embedding`` and what the pipeline reads.
    texts
        Encodes the parts.
    depth
        Candidates per query.
    **options
        For `Pipeline.rerank`.
    """

    def __init__(
        self,
        pipeline: cr.Pipeline | None,
        gallery: cr.Collection,
        texts: EncodedTexts,
        depth: int = 100,
        **options: Any,
    ) -> None:
        self.pipeline = pipeline
        self.gallery = gallery
        self.texts = texts
        self.depth = depth
        self.options = options
        self._needed: tuple[str, ...] | None = None
        self._nearest: Nearest | None = None

    def __call__(
        self, ids: Sequence[str], queries: Sequence[tuple[Part, ...]], depth: int | None = None
    ) -> cr.Rankings:
        """Return a ranking per query, its traces by part and stage.

        Parameters
        ----------
        ids
            Of the queries.
        queries
            Per query its parts.
        depth
            Another one than usual.
        """
        if not all(queries):
            raise InputError("PartRanker: a query has no parts; give at least its caption")
        wanted = self.depth if depth is None else depth
        if self.pipeline is None:
            return as_rankings(self.search(ids, queries, wanted))
        owner = np.repeat(np.arange(len(queries)), [len(parts) for parts in queries])
        parts = [part for own in queries for part in own]
        names = [
            f"{id}\n{n}" for id, own in zip(ids, queries, strict=True) for n in range(len(own))
        ]
        # before the search, which needs the embeddings of the same texts
        asked = self.queries(names, [part.text for part in parts])
        searched = self.search(ids, queries, wanted)
        if searched.index.size == 0:
            return as_rankings(searched)
        lists = self._lists(searched, asked, owner)
        ranked = self.pipeline.rerank(lists, asked, self.gallery, **self.options)
        return fused(ranked, searched, owner, np.array([part.weight for part in parts]))

    def queries(self, ids: Sequence[str], texts: Sequence[str]) -> cr.Collection:
        """Return texts with all that the pipeline reads of queries."""
        return self.texts.collection(ids, texts, self._features())

    def search(
        self, ids: Sequence[str], queries: Sequence[tuple[Part, ...]], depth: int
    ) -> cr.Candidates:
        """Return the candidates with the highest weighted sums of cosines."""
        vectors = self.vectors(queries)
        if len(queries) == 1:
            if self._nearest is None:
                self._nearest = Nearest(self.gallery)
            return self._nearest(ids[0], vectors[0], depth)
        return cr.search(cr.Collection(ids, "text", embedding=vectors), self.gallery, depth)

    def vectors(self, queries: Sequence[tuple[Part, ...]]) -> Floats:
        """Return ``[Q, D]`` the weighted sums of the parts' embeddings."""
        known = self.texts.embeddings([part.text for own in queries for part in own])
        weights = np.array([part.weight for own in queries for part in own])
        starts = np.cumsum([0, *(len(own) for own in queries[:-1])])
        return np.add.reduceat(weights[:, None] * known, starts, axis=0)

    def _features(self) -> tuple[str, ...]:
        """Return what the stages read of a query, asked once."""
        if self.pipeline is not None and self._needed is None:
            blank = cr.Collection(["q"], "text", text=["a picture"])
            none = cr.Candidates.from_lists([[]], query_ids=["q"], candidate_ids=self.gallery.ids)
            direction = none.check_direction("text", self.gallery.modality)
            context = cr.Context(blank, self.gallery, none, direction)
            needs = [stage.scorer.needs(context).queries for stage in self.pipeline.stages]
            self._needed = tuple(dict.fromkeys(["embedding", *(n for own in needs for n in own)]))
        return ("embedding",) if self._needed is None else self._needed

    def _lists(
        self, searched: cr.Candidates, asked: cr.Collection, owner: NDArray[np.int64]
    ) -> cr.Candidates:
        """Return each query's candidates once per part, with the part's own base scores."""
        index = searched.index[owner]
        if len(owner) == len(searched) and searched.scores is not None:
            scores = searched.scores
        else:
            pictures = self.gallery["embedding"]
            scores = np.stack(
                [
                    np.einsum("d,kd->k", part, np.asarray(pictures[rows], np.float64))
                    for part, rows in zip(
                        np.asarray(asked["embedding"], np.float64), index, strict=True
                    )
                ]
            )
        columns = (index, scores, searched.mask[owner])
        return cr.Candidates(*columns, asked.ids, searched.candidate_ids, searched.direction)


def fused(
    ranked: cr.Rankings, searched: cr.Candidates, owner: NDArray[np.int64], weights: Floats
) -> cr.Rankings:
    """Add up the final scores of parts that were ranked over the same candidates.

    Parameters
    ----------
    ranked
        Per part its ranking, nothing cut.
    searched
        Per query its candidates, all lists of one length.
    owner
        ``[parts]`` whose part each is, rising.
    weights
        ``[parts]``.

    Returns
    -------
    Rankings
        Of the queries: base scores and ranks are those of `searched`.  Traces are those of the
        parts that every query has, of which the second is called ``stage (2)``, and so on.
    """
    base_ranks = 1 + np.argsort(searched.base_order(), axis=1)
    # ranked goes by the parts' own order: back to the places of the candidate lists
    back = np.argsort(ranked.index, axis=1)
    sorted_places = np.argsort(np.argsort(searched.index, axis=1), axis=1)[owner]
    places = np.take_along_axis(back, sorted_places, axis=1)
    final = np.take_along_axis(ranked.final, places, axis=1)
    starts = np.searchsorted(owner, np.arange(len(searched)))
    sums = np.add.reduceat(weights[:, None] * final, starts, axis=0)
    order = np.lexsort((searched.index, base_ranks, -sums), axis=1)
    stages = []
    for part in range(int(np.bincount(owner).min())):
        rows = starts + part
        moved = np.take_along_axis(places[rows], order, axis=1)
        for stage in ranked.stages:
            name = stage.name if part == 0 else f"{stage.name} ({part + 1})"
            stages.append(replace(stage.arranged(rows, moved), name=name))
    base = searched.scores
    return cr.Rankings(
        query_ids=searched.query_ids,
        candidate_ids=searched.candidate_ids,
        index=np.take_along_axis(searched.index, order, axis=1),
        final=np.take_along_axis(sums, order, axis=1),
        mask=np.take_along_axis(searched.mask, order, axis=1),
        base_scores=None if base is None else np.take_along_axis(base, order, axis=1),
        base_ranks=np.take_along_axis(base_ranks, order, axis=1),
        stages=tuple(stages),
        direction=searched.direction,
    )


def as_rankings(searched: cr.Candidates) -> cr.Rankings:
    """Return the search itself as rankings."""
    order = searched.base_order()
    scores = np.zeros(searched.index.shape) if searched.scores is None else searched.scores
    arranged = np.take_along_axis(scores, order, axis=1)
    return cr.Rankings(
        query_ids=searched.query_ids,
        candidate_ids=searched.candidate_ids,
        index=np.take_along_axis(searched.index, order, axis=1),
        final=arranged,
        mask=np.take_along_axis(searched.mask, order, axis=1),
        base_scores=arranged,
        base_ranks=np.broadcast_to(1 + np.arange(order.shape[1]), order.shape),
        direction=searched.direction,
    )
