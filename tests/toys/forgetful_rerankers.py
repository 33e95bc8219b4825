"""Rerankers that are right at first, on a few items, alone; and sound ones of unusual kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

import crossrank as cr
from toys.basic import DotReranker
from toys.broken_rerankers import Explains

ALONE = replace(DotReranker.info, thread_safe=False)


class UsesABufferAgain(DotReranker):
    """Returns views of one array."""

    info = ALONE

    def prepare(self, context: cr.Context) -> Any:
        self.buffer = np.zeros(1 << 16, np.float32)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = self.buffer[: block.mask.size].reshape(block.mask.shape)
        values[:] = super().score(block, state).values
        return cr.Scores(values)


class ChangesWhatItReturned(DotReranker):
    """Clears the arrays of the call before, to be tidy."""

    info = ALONE
    last: NDArray[np.float32] | None = None

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        if self.last is not None:
            self.last[:] = 0
        self.last = super().score(block, state).values
        return cr.Scores(self.last)


class KeepsWhatItReturned(DotReranker):
    """Returns the array that it will return again."""

    info = ALONE

    def prepare(self, context: cr.Context) -> Any:
        self.known: dict[bytes, NDArray[np.float32]] = {}

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        key = block.query_rows.tobytes() + block.index.tobytes() + block.mask.tobytes()
        if key not in self.known:
            self.known[key] = super().score(block, state).values
        return cr.Scores(self.known[key])


class WrongBeyond64Queries(DotReranker):
    """Fills one tile of queries."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        values[64:] = 0
        return cr.Scores(values)


class WrongBeyond64Candidates(DotReranker):
    """Fills one tile of candidates."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        values[:, 64:] = 0
        return cr.Scores(values)


class ScoresTheFirstOfEqualOnes(DotReranker):
    """Takes a candidate like another for that candidate."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        rows = block.candidates["embedding"][block.index]
        for query, row in enumerate(rows):
            _, first = np.unique(row, axis=0, return_index=True)
            second = np.setdiff1d(np.flatnonzero(block.mask[query]), first)
            values[query, second] = -1
        return cr.Scores(values)


class CachesByRow(DotReranker):
    """Remembers candidates by their rows, of whatever gallery."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.known: dict[int, NDArray[Any]] = {}

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        for row, own in zip(block.candidate_rows, block.candidates["embedding"], strict=True):
            self.known.setdefault(int(row), own)
        values = np.stack([self.known[int(row)] for row in block.candidate_rows])[block.index]
        return cr.Scores(
            np.einsum("qd,qkd->qk", block.queries["embedding"], values).astype(np.float32)
        )


class CachesById(DotReranker):
    """Remembers candidates by their ids, which name other things elsewhere."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.known: dict[str, NDArray[Any]] = {}

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        ids = block.candidates.ids
        for id, own in zip(ids, block.candidates["embedding"], strict=True):
            self.known.setdefault(id, own)
        values = np.stack([self.known[id] for id in ids])[block.index]
        return cr.Scores(
            np.einsum("qd,qkd->qk", block.queries["embedding"], values).astype(np.float32)
        )


class DependsOnThreads(DotReranker):
    """Splits a sum by the number of threads, carelessly."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        most = max(each["num_threads"] for each in threadpool_info())
        return cr.Scores(super().score(block, state).values * np.float32(1 + most / 100))


class DependsOnTheBudget(DotReranker):
    """Leaves out dimensions where memory is short."""

    def prepare(self, context: cr.Context) -> Any:
        return 4 if context.memory_budget < 1 << 20 else None

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        gathered = block.candidates["embedding"][block.index][:, :, :state]
        asked = block.queries["embedding"][:, :state]
        return cr.Scores(np.einsum("qd,qkd->qk", asked, gathered).astype(np.float32))


class HashesIds(DotReranker):
    """Breaks ties by the hash of an id, which differs from run to run."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        ties = np.array([hash(id) % 97 for id in block.candidates.ids], np.float32) / 1000
        values = super().score(block, state).values + ties[block.index]
        return cr.Scores(values.astype(np.float32))


class Drifts(DotReranker):
    """Trusts a pair less each time that it is asked, from the hundredth on."""

    info = ALONE
    calls = 0

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        self.calls += 1
        factor = 1 if self.calls <= 100 else 0.999
        return cr.Scores(super().score(block, state).values * np.float32(factor))


class ExplainsAndChanges(Explains):
    """Turns on something that costs precision, and leaves it on."""

    info = ALONE
    rough = False

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        return cr.Scores(np.asarray(values.round(2) if self.rough else values, np.float32))

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        found = super().explain(block, state)
        self.rough = True
        return found


class HoldsRowsIn16Bits(DotReranker):
    """Saves memory where there is little to save."""

    def prepare(self, context: cr.Context) -> Any:
        return np.asarray(context.gallery["embedding"])

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        rows = block.candidate_rows.astype(np.int16)
        gathered = state[rows][block.index]
        return cr.Scores(
            np.einsum("qd,qkd->qk", block.queries["embedding"], gathered).astype(np.float32)
        )


@dataclass(frozen=True)
class Offset:
    by: float = 0.0


class ForgetsAnOffset(DotReranker):
    """Has a fingerprint that does not know its offset, which is 0.0 by default."""

    Parameters = Offset

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        return cr.Scores(super().score(block, state).values + np.float32(self.params.by))

    def fingerprint(self) -> str:
        return "offset"


# sound, and of unusual kind


class AbstainsAlways(DotReranker):
    """Has no opinion."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        nothing = np.full(block.mask.shape, np.nan, np.float32)
        return cr.Scores(nothing, np.ones(block.mask.shape, np.bool_), "it never knows")


class SaysTheSameOfAll(cr.Reranker):
    """Reads nothing at all."""

    info = cr.RerankerInfo("same", "the same score for all")

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        return cr.Scores(np.ones(block.mask.shape, np.float32))


class ReadsOneSide(cr.Reranker):
    """Prefers candidates near an axis, whatever is asked."""

    info = cr.RerankerInfo("axis", "one feature", candidate_features=("embedding",))

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        return cr.Scores(block.candidates["embedding"][:, 0].astype(np.float32)[block.index])


@dataclass(frozen=True)
class Places:
    start: int = 0
    step: int = 1


class TakesIntegers(DotReranker):
    """Compares some of the dimensions, counted by integers."""

    Parameters = Places

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        some = slice(self.params.start, None, max(1, self.params.step))
        gathered = block.candidates["embedding"][block.index][:, :, some]
        asked = block.queries["embedding"][:, some]
        return cr.Scores(np.einsum("qd,qkd->qk", asked, gathered).astype(np.float32))


class GoesOnFromBefore(DotReranker):
    """Adds to the scores that came out of the stages before."""

    def needs(self, context: cr.Context) -> cr.Needs:
        return replace(super().needs(context), previous=True)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        previous: Any = block.previous
        before = np.where(block.mask, previous, 0)
        return cr.Scores((super().score(block, state).values + before).astype(np.float32))


class CentersOnTheGallery(DotReranker):
    """Subtracts the gallery's mean, and says that it does."""

    info = replace(DotReranker.info, transductive=True)

    def prepare(self, context: cr.Context) -> Any:
        return np.asarray(context.gallery["embedding"], np.float64).mean(axis=0)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        gathered = (block.candidates["embedding"] - state)[block.index]
        return cr.Scores(
            np.einsum("qd,qkd->qk", block.queries["embedding"], gathered).astype(np.float32)
        )


class RemembersByContent(DotReranker):
    """Keeps what it computed of an embedding, by its bytes."""

    info = ALONE

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.known: dict[bytes, float] = {}

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        for own in block.candidates["embedding"]:
            self.known.setdefault(own.tobytes(), float(np.sum(own, dtype=np.float64)))
        each = [self.known[own.tobytes()] for own in block.candidates["embedding"]]
        return cr.Scores(np.array(each, np.float32)[block.index])


class ReturnsWhatCannotBeWritten(DotReranker):
    """Locks what it returns."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        values.flags.writeable = False
        return cr.Scores(values)


class ScoresHugely(DotReranker):
    """Lives on a scale of its own."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        gathered = block.candidates["embedding"][block.index].astype(np.float64)
        products = np.einsum("qd,qkd->qk", block.queries["embedding"].astype(np.float64), gathered)
        return cr.Scores((products * 1e30).astype(np.float32))


class CountsWords(cr.Reranker):
    """Looks at words as sets, and never at vectors."""

    info = cr.RerankerInfo(
        "shared", "shared words", query_features=("text",), candidate_features=("text",)
    )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        asked = [frozenset(text.split()) for text in block.queries["text"]]
        listed = [frozenset(text.split()) for text in block.candidates["text"]]
        counts = np.array([[len(a & b) for b in listed] for a in asked], np.float32)
        return cr.Scores(np.take_along_axis(counts, block.index, axis=1))


class SeesOneDirection(DotReranker):
    """Is for texts that look for pictures, and abstains from every second pair."""

    info = replace(DotReranker.info, directions=("t2i",))

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        return cr.Scores(values, values < 0, "below zero")


UNUSUAL = (
    AbstainsAlways,
    SaysTheSameOfAll,
    ReadsOneSide,
    TakesIntegers,
    GoesOnFromBefore,
    CentersOnTheGallery,
    RemembersByContent,
    ReturnsWhatCannotBeWritten,
    ScoresHugely,
    CountsWords,
    SeesOneDirection,
)
