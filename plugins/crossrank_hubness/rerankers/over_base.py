"""What the corrections share that work over any scores: the bias of a candidate, kept on disk."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

import crossrank as cr
from crossrank.errors import ParameterError
from crossrank.plugin.cached_array import cached_array
from crossrank_hubness.bank_scores import BankScores, Products, StageScored
from crossrank_hubness.banks import check_scored_bank
from crossrank_hubness.corrections import Terms
from crossrank_hubness.matrices import Floats
from crossrank_hubness.over import EMBEDDING, Given, Over, OverStage, PairScores, over
from crossrank_hubness.rerankers.base import BankParameters, BankReranker
from crossrank_hubness.run_sides import RunSides


@dataclass(frozen=True, slots=True, kw_only=True)
class OverParameters(BankParameters):
    """What all of them take.

    Parameters
    ----------
    bank
        A collection of queries, or its folder; ``"queries"`` for the run's own, which makes the
        run transductive.
    over
        What s(q, g) is: ``"embedding"``, inner products; ``"scores"``, what the stages before made
        of the pairs, the bank being scored by the same stages; or a stage such as
        ``"filip:mode=t2i,depth=100"`` (a `crossrank.Stage` in Python), whose raw scores are
        corrected, its depth being how many candidates of each item of the bank it scores.
    """

    over: Given = EMBEDDING


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a correction knows of a run.

    Parameters
    ----------
    terms
        Made by `OverReranker.terms`.
    source
        Made by `Over.prepare`.
    """

    terms: Any = field(default=None)
    source: Any = field(default=None)


class OverReranker(BankReranker):
    """One that needs no more than scores of a bank."""

    Parameters: ClassVar[type] = OverParameters
    of_stages: ClassVar[bool] = True
    """Whether the raw scores of a stage can be corrected: not if other pairs of a query count."""

    def __init__(self, /, **params: Any) -> None:
        super().__init__(**params)
        self.over: Over = over(self.info.name, self.params.over)
        if isinstance(self.over, OverStage) and not self.of_stages:
            raise ParameterError(
                f"{self.info.name}: over is {self.params.over!r}; give 'embedding', or 'scores' "
                "after that stage"
            )
        transductive = self.info.transductive
        self.info = self.over.info(self.info)  # type: ignore[misc]
        if transductive and not self.info.transductive:
            self._looks_at_queries()

    def fingerprint(self) -> str:
        """Return a digest of the parameters, the bank and what is corrected."""
        rest = {name: value for name, value in self.given().items() if name != "over"}
        content = {**rest, **self._banks(), "over": self.over.fingerprint()}
        return cr.fingerprint([type(self).__module__, type(self).__qualname__, content])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return what the source reads."""
        return self.over.needs(context)

    def prepare(self, context: cr.Context) -> Prepared:
        """Compute the terms of all listed candidates, and of the queries where they have any."""
        sides = RunSides.of(context)
        if not len(sides.listed):
            return Prepared(Terms(np.zeros(len(context.gallery))))
        return Prepared(self.terms(sides), self.over.prepare(context))

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the corrected scores."""
        if not block.mask.any():
            return cr.Scores(np.zeros(block.mask.shape, np.float32))
        found: PairScores = self.over.pairs(block, state.source)
        values = self.corrected(found.values, block, state.terms)
        return cr.Scores(values.astype(np.float32), found.abstained, found.reason)

    def bank_scores(self, sides: RunSides) -> BankScores:
        """Return what the bank says of the listed candidates."""
        name = self.info.name
        run = self.over.bank_run(name, sides)
        if run is None:
            return Products(name, sides, self.bank_collection(sides), self.bank_vectors(sides))
        if self.bank is None:
            queries = sides.context.queries
            return StageScored(name, sides, queries.take(sides.asked), run)
        check_scored_bank(name, self.bank, sides.context.queries, sides.asked)
        return StageScored(name, sides, self.bank, run)

    def bank_size(self, sides: RunSides) -> int:
        """Return how many items the bank has."""
        return len(sides.asked) if self.bank is None else len(self.bank)

    def kept(
        self,
        sides: RunSides,
        what: str,
        amount: float,
        compute: Callable[[BankScores], Floats],
        size: int | None = None,
    ) -> Floats:
        """Return ``[L]`` what a bank says, from the cache folder if it is there.

        Parameters
        ----------
        sides
            The run.
        what, amount
            Which number of the candidates, such as the mean of so many; with the bank, the
            gallery, and what is corrected, it names the file.
        compute
            Returns it.
        size
            How many numbers: one for each of the L listed candidates by default.
        """
        context, count = sides.context, len(sides.listed) if size is None else size
        scores = self.bank_scores(sides)
        if context.cache_folder is None:
            return compute(scores)
        bank = self.bank
        items = [context.queries.fingerprint(), sides.asked] if bank is None else bank.fingerprint()
        run = scores.run.fingerprint() if isinstance(scores, StageScored) else EMBEDDING
        key = cr.fingerprint(
            [
                cr.__version__,
                what,
                float(amount),
                self.over.fingerprint(),
                run,
                items,
                context.gallery.fingerprint(),
                sides.listed,
                context.direction,
                context.device,
                context.dtype,
            ]
        )

        def fill(table: Floats) -> None:
            table[:] = compute(scores)

        return cached_array(f"hubness-{what}", context, key, (count,), fill, np.float64)

    @abstractmethod
    def terms(self, sides: RunSides) -> Any:
        """Return what corrects the scores of a run that has candidates."""
