"""A reranker in one direction, with collections and candidate lists to try it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._engine.block import make_block
from crossrank._items.collection import Collection
from crossrank._lists.candidates import Candidates
from crossrank._lists.fusion import Fusion, Replace
from crossrank._lists.ordering import ranks
from crossrank._lists.rankings import Rankings
from crossrank._pipeline import Pipeline
from crossrank._stage import Stage
from crossrank.plugin.contract import Block, Context, Needs, Reranker, Scores, State
from crossrank.testing._check import require
from crossrank.testing._differences import PairScores


@dataclass(frozen=True, slots=True)
class RerankerCase:
    """What every check of a reranker starts from: its class, and a few items of both sides."""

    kind: type[Reranker]
    params: Mapping[str, Any]
    direction: str
    queries: Collection
    gallery: Collection

    def build(self) -> Reranker:
        """Return the reranker, built anew."""
        return self.kind(**self.params)

    def lists(self, scored: bool = True) -> Candidates:
        """Return ragged lists: all candidates, one, none, all but one, …, each in its own order."""
        rng = np.random.default_rng(0)
        count = len(self.gallery)
        lengths = [count, 1, 0, count - 1, 2, count]
        orders = [rng.permutation(count)[:length] for length in lengths][: len(self.queries)]
        base = rng.normal(size=(len(self.queries), count)).round(1)
        return Candidates.from_lists(
            [[self.gallery.ids[row] for row in order] for order in orders],
            scores=[base[row][order] for row, order in enumerate(orders)] if scored else None,
            query_ids=self.queries.ids,
            candidate_ids=self.gallery.ids,
            direction=self.direction,
        )

    def start(self, candidates: Candidates | None = None, **context: Any) -> Run:
        """Build the reranker and let it prepare, some fields of its `Context` changed."""
        return Run.of(self.build(), self.context(candidates, **context))

    def start_bare(self) -> Run:
        """Start with collections that hold nothing but the features that `needs` names."""
        needs = self.build().needs(self.context())
        return self.start(
            queries=self.queries.take(range(len(self.queries)), needs.queries),
            gallery=self.gallery.take(range(len(self.gallery)), needs.candidates),
        )

    def context(self, candidates: Candidates | None = None, **changes: Any) -> Context:
        """Return what `start` lets the reranker prepare from."""
        lists = self.lists() if candidates is None else candidates
        context = replace(Context(self.queries, self.gallery, lists, self.direction), **changes)
        return replace(context, previous=previous_of(context))

    def rerank(
        self,
        candidates: Candidates | None = None,
        *,
        queries: Collection | None = None,
        gallery: Collection | None = None,
        fusion: Fusion | None = None,
        scorer: Reranker | None = None,
    ) -> Rankings:
        """Run the reranker as users do, in a pipeline."""
        stage = Stage(
            self.build() if scorer is None else scorer,
            fusion=Replace() if fusion is None else fusion,
        )
        return Pipeline(stage).rerank(
            self.lists() if candidates is None else candidates,
            self.queries if queries is None else queries,
            self.gallery if gallery is None else gallery,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """A prepared reranker, called block by block as the engine calls it, but unchecked."""

    scorer: Reranker
    context: Context
    state: State | None

    @classmethod
    def of(cls, scorer: Reranker, context: Context) -> Run:
        """Let a reranker prepare, once it is clear that it can have what it needs."""
        _check_needs(scorer.needs(context), context)
        return cls(scorer, context, scorer.prepare(context))

    def rows(self) -> list[int]:
        """Return the lists that hold a candidate; the engine scores no others."""
        return [int(row) for row in np.flatnonzero(self.context.lists.mask.any(axis=1))]

    def block(
        self, rows: Sequence[int] | None = None, *, keep: int | None = None, explain: bool = False
    ) -> Block:
        """Return a block of some lists, all by default."""
        chosen = np.arange(len(self.context.lists)) if rows is None else np.asarray(rows)
        lists, queries = self.context.lists, self.context.queries
        needs = self.scorer.needs(self.context).of_blocks()
        if explain:
            needs = _with_extra(self.scorer, self.context)
        return make_block(
            np.array([queries.row(lists.query_ids[row]) for row in chosen], np.int64),
            lists.index[chosen],
            lists.mask[chosen],
            None if lists.scores is None else lists.scores[chosen],
            queries,
            self.context.gallery,
            needs,
            self.context.direction,
            keep,
            previous_of(self.context)[chosen] if needs.previous else None,
        )

    def scores(self, *blocks: Block) -> PairScores:
        """Return the scores of all pairs of some blocks; by default, of one with all lists."""
        found: dict[tuple[str, str], float | None] = {}
        for block in blocks or (self.block(),):
            found |= read_scores(block, self.scorer.score(block, self.state))
        return found


def previous_of(context: Context) -> NDArray[np.float64]:
    """Return ``[Q, K]`` the scores that a first stage finds."""
    lists = context.lists
    return -ranks(lists.base_order()).astype(np.float64) if lists.scores is None else lists.scores


def read_scores(block: Block, scores: Scores) -> PairScores:
    """Return the scores of a block's pairs by their ids, one per place."""
    values = np.asarray(getattr(scores, "values", scores))
    require(
        values.shape == block.mask.shape,
        f"score() returned shape {values.shape} for a block of {block.mask.shape}; "
        "return one score per place",
    )
    abstained = np.zeros(values.shape, np.bool_)
    if getattr(scores, "abstained", None) is not None:
        abstained = np.asarray(scores.abstained)
    return {
        (block.queries.ids[row], block.candidates.ids[block.index[row, place]]): (
            None if abstained[row, place] else float(values[row, place])
        )
        for row, place in np.argwhere(block.mask)
    }


def _with_extra(scorer: Reranker, context: Context) -> Needs:
    """Return what `explain` may read: what `score` reads and, where it is there, some more."""
    needs, extra = scorer.needs(context), scorer.info.explain_features
    return Needs(
        tuple(dict.fromkeys((*needs.queries, *(f for f in extra if f in context.queries)))),
        tuple(dict.fromkeys((*needs.candidates, *(f for f in extra if f in context.gallery)))),
        previous=needs.previous,
    )


def _check_needs(needs: Needs, context: Context) -> None:
    for side, collection, names in (
        ("queries", context.queries, needs.queries),
        ("candidates", context.gallery, needs.candidates),
    ):
        for name in names:
            require(
                name in collection,
                f"it needs {name!r} of the {side}, which these {collection.modality}s lack in "
                f"{context.direction}: name the directions it does in info.directions, or pass "
                "collections that hold it as queries= and gallery=",
            )
