"""What is corrected: inner products, the scores of the stages before, or those of one stage.

The last two score the bank as well, with the same stages over the same gallery.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.cli.kit import read_stage
from crossrank.errors import InputError, ParameterError
from crossrank_hubness.banks import FEATURE
from crossrank_hubness.corrections import pair_products
from crossrank_hubness.matrices import Floats
from crossrank_hubness.run_sides import RunSides

EMBEDDING, SCORES = "embedding", "scores"
PROBED = 64
"""Lists whose base scores are held against inner products."""
CLOSE = 1e-3

Given: TypeAlias = str | cr.Stage


@dataclass(frozen=True, slots=True)
class PairScores:
    """What a source says of the pairs of a block.

    Parameters
    ----------
    values
        ``[Q, K]`` float64, 0 where there is no pair.
    abstained, reason
        See `crossrank.Scores`.
    """

    values: Floats
    abstained: NDArray[np.bool_] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BankRun:
    """How the items of a bank are scored.

    Parameters
    ----------
    stages
        Over the gallery, one after the other; without any, base scores are.
    depth
        How many candidates of each item, best first by embedding.
    needs_base
        Whether base scores decide anything.
    """

    stages: tuple[cr.Stage, ...]
    depth: int
    needs_base: bool

    def fingerprint(self) -> str:
        """Return a digest of the stages and depths."""
        return cr.fingerprint([self.stages, self.depth])


class Over(ABC):
    """A source of s(q, g)."""

    def info(self, info: cr.RerankerInfo) -> cr.RerankerInfo:
        """Return what a correction of this source says of itself."""
        return info

    @abstractmethod
    def needs(self, context: cr.Context) -> cr.Needs:
        """Return the features it reads."""

    def prepare(self, context: cr.Context) -> Any:
        """Compute what `pairs` reads."""
        return None

    @abstractmethod
    def pairs(self, block: cr.Block, prepared: Any) -> PairScores:
        """Return s of the pairs of a block."""

    def bank_run(self, who: str, sides: RunSides) -> BankRun | None:
        """Return how the bank is scored; None for inner products."""
        return None

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a digest of the source."""


class OverEmbedding(Over):
    """Inner products of the feature ``embedding``."""

    def needs(self, context: cr.Context) -> cr.Needs:
        """Read both embeddings."""
        return cr.Needs((FEATURE,), (FEATURE,))

    def pairs(self, block: cr.Block, prepared: Any) -> PairScores:
        """Return inner products."""
        return PairScores(pair_products(block))

    def fingerprint(self) -> str:
        """There is one such source."""
        return EMBEDDING


class OverScores(Over):
    """Whatever the stages before made of the pairs."""

    def info(self, info: cr.RerankerInfo) -> cr.RerankerInfo:
        """Read no feature of its own."""
        return dataclasses.replace(info, query_features=(), candidate_features=())

    def needs(self, context: cr.Context) -> cr.Needs:
        """Read the scores before the stage."""
        return cr.Needs((), (), previous=True)

    def pairs(self, block: cr.Block, prepared: Any) -> PairScores:
        """Return the scores before the stage."""
        if block.previous is None:
            raise InputError("over='scores' reads the scores before a stage; there are none here")
        return PairScores(np.where(block.mask, block.previous, 0.0))

    def bank_run(self, who: str, sides: RunSides) -> BankRun:
        """Return the stages before, over lists as long as the run's.

        Raises
        ------
        InputError
            If one of them looks at the other queries, or base scores count that an inner product
            is not.
        """
        stages = sides.context.before
        for stage in stages:
            if stage.scorer.info.transductive or stage.fusion.transductive:
                raise InputError(
                    f"{who}: the stage {stage.name!r} looks at the other queries, so the bank "
                    "cannot be scored as the run was; give over='embedding', or put it first"
                )
        needs_base = not stages or stages[0].fusion.needs_scores
        if needs_base:
            check_base_scores(who, sides)
        return BankRun(stages, sides.context.lists.depth, needs_base)

    def fingerprint(self) -> str:
        """Return its name; what came before is told by `bank_run`."""
        return SCORES


class OverStage(Over):
    """The raw scores of a reranker.

    Parameters
    ----------
    stage
        The reranker; its depth is how many candidates of each item of the bank it scores.
    """

    def __init__(self, stage: cr.Stage) -> None:
        self.stage = dataclasses.replace(
            stage, reranker=stage.scorer, params={}, fusion=cr.Replace()
        )

    def info(self, info: cr.RerankerInfo) -> cr.RerankerInfo:
        """Read what the reranker reads, and go where it goes."""
        own = self.stage.scorer.info
        return dataclasses.replace(
            own, name=info.name, summary=info.summary, paper=info.paper, extra=own.extra
        )

    def needs(self, context: cr.Context) -> cr.Needs:
        """Read what the reranker reads, and embeddings where the bank's lists are cut by them."""
        own = self.stage.scorer.needs(context)
        if self.stage.depth is None:
            return own
        lacking = FEATURE not in own.queries and FEATURE not in own.candidates
        return cr.Needs(
            tuple(dict.fromkeys((*own.queries, FEATURE))),
            tuple(dict.fromkeys((*own.candidates, FEATURE))),
            (*own.prepare_only, FEATURE) if lacking else own.prepare_only,
            own.previous,
        )

    def prepare(self, context: cr.Context) -> Any:
        """As the reranker."""
        return self.stage.scorer.prepare(context)

    def pairs(self, block: cr.Block, prepared: Any) -> PairScores:
        """Return the reranker's scores."""
        scores = self.stage.scorer.score(block, prepared)
        counts = block.mask if scores.abstained is None else block.mask & ~scores.abstained
        values = np.where(counts, scores.values, 0.0).astype(np.float64)
        return PairScores(values, scores.abstained, scores.reason)

    def bank_run(self, who: str, sides: RunSides) -> BankRun:
        """Return this one stage, over all listed candidates or its depth of the gallery."""
        depth = self.stage.depth
        cut = isinstance(depth, int)
        count = depth if isinstance(depth, int) else len(sides.listed)
        return BankRun((dataclasses.replace(self.stage, depth=None),), count, cut)

    def fingerprint(self) -> str:
        """Return a digest of the reranker and its depth."""
        return self.stage.fingerprint()


def over(who: str, given: Given) -> Over:
    """Return the source that a parameter names.

    Raises
    ------
    ParameterError
        If it is neither ``"embedding"`` nor ``"scores"`` nor a stage.
    """
    if given == EMBEDDING:
        return OverEmbedding()
    if given == SCORES:
        return OverScores()
    if isinstance(given, str) and given:
        try:
            given = read_stage(given)
        except ParameterError as error:
            raise ParameterError(f"{who}: over: {error}") from error
    if isinstance(given, cr.Stage):
        if not isinstance(given.depth, int | None):
            raise ParameterError(
                f"{who}: over: a bank is scored to one depth, not to {given.depth!r}; give a number"
            )
        return OverStage(given)
    raise ParameterError(
        f"{who}: over is {given!r}; give 'embedding', 'scores', or a stage such as 'filip:mode=t2i'"
    )


def check_base_scores(who: str, sides: RunSides) -> None:
    """Refuse a run whose base scores a bank cannot have.

    Raises
    ------
    InputError
        If there are none, or they are no inner products of the feature ``embedding``.
    """
    context = sides.context
    lists = context.lists
    mend = "start with a stage whose fusion is Replace(), or give over='embedding'"
    if lists.scores is None:
        raise InputError(f"{who}: the bank needs base scores as the run's, which has none; {mend}")
    for side, collection in (("queries", context.queries), ("gallery", context.gallery)):
        if FEATURE not in collection:
            raise InputError(
                f"{who}: base scores of the bank are inner products of {FEATURE!r}, which the "
                f"{side} lack; encode them with it, or {mend}"
            )
    for row in range(0, len(lists), max(1, len(lists) // PROBED)):
        taken = np.flatnonzero(lists.mask[row])
        query = context.queries.row(lists.query_ids[row])
        asked = context.queries.take([query], [FEATURE])[FEATURE][0].astype(np.float64)
        listed = context.gallery.take(lists.index[row, taken], [FEATURE])[FEATURE]
        found, base = listed.astype(np.float64) @ asked, lists.scores[row, taken]
        if not np.allclose(found, base, rtol=CLOSE, atol=CLOSE):
            raise InputError(
                f"{who}: the base scores of query {lists.query_ids[row]!r} are no inner products "
                f"of {FEATURE!r}, so that the bank cannot be given such; {mend}"
            )
