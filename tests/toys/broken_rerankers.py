"""Rerankers that break one promise each, and what the kit must say of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import crossrank as cr
from toys.basic import DotReranker


@dataclass(frozen=True)
class Scale:
    by: float = 2.0


class DropsACandidate(DotReranker):
    """Wants the last of each list gone."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        last = block.mask.sum(axis=1) - 1
        rows = np.flatnonzero(last > 0)
        values[rows, last[rows]] = -np.inf
        return cr.Scores(values)


class DependsOnOrder(DotReranker):
    """Trusts what stands first."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        return cr.Scores(values - 0.01 * np.arange(values.shape[1], dtype=np.float32))


class DependsOnBatchSize(DotReranker):
    """Divides by how many queries it sees."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        return cr.Scores(values / np.float32(len(block.queries)))


class MutatesInput(DotReranker):
    """Scales the embeddings in place."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        gathered = block.candidates["embedding"]
        gathered *= 2
        return super().score(block, state)


class MutatesWhatItCan(DotReranker):
    """Scales them in place only where nothing stops it, so that no error is seen."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        scores = super().score(block, state)
        if block.candidates["embedding"].flags.writeable:
            block.candidates["embedding"][:] = 0
        return scores


class GivesNaN(DotReranker):
    """Divides by zero for one pair."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        values[:, 0] = np.nan
        return cr.Scores(values)


class WrongType(DotReranker):
    """Computes in double precision and leaves it there."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values: Any = super().score(block, state).values.astype(np.float64)
        return cr.Scores(values)


class WrongShape(DotReranker):
    """Leaves out the last place of every list."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        return cr.Scores(super().score(block, state).values[:, :-1])


class IgnoresTheMask(DotReranker):
    """Adds the average base score of the list, over places that hold no candidate too."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        if block.base_scores is None:
            return cr.Scores(values)
        average = block.base_scores.mean(axis=1, keepdims=True)
        return cr.Scores((values + average).astype(np.float32))


class IsNotDeterministic(DotReranker):
    """Breaks ties by chance."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        noise = np.random.default_rng().normal(size=values.shape)
        return cr.Scores((values + noise).astype(np.float32))


class PadsWithZeros(cr.Reranker):
    """Late interaction in which a padded token can win the maximum."""

    info = cr.RerankerInfo(
        name="zeros", summary="s", query_features=("tokens",), candidate_features=("tokens",)
    )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        tokens = block.candidates["tokens"]
        padded = np.zeros((len(tokens), tokens.lengths.max(), *tokens.trailing), np.float32)
        for row, own in enumerate(tokens):
            padded[row, : len(own)] = own
        values = np.zeros(block.mask.shape, np.float32)
        for row, words in enumerate(block.queries["tokens"]):
            best = np.einsum("ld,krd->klr", words, padded[block.index[row]]).max(axis=2)
            values[row] = best.mean(axis=1) if len(words) else 0
        return cr.Scores(values)


class SecretlyTransductive(DotReranker):
    """Subtracts what a candidate scores on the average of all queries, and does not say so."""

    def prepare(self, context: cr.Context) -> Any:
        return context.queries["embedding"].mean(axis=0)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        hub = (block.candidates["embedding"] @ state)[block.index]
        return cr.Scores(super().score(block, state).values - hub.astype(np.float32))


class ScreensBadly(DotReranker):
    """Forgets the second best where only a few matter."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        if block.keep is not None:
            second = np.argsort(np.where(block.mask, -values, np.inf), axis=1)[:, 1:2]
            np.put_along_axis(values, second, np.float32(-9), axis=1)
        return cr.Scores(values)


class SharesAnAttribute(DotReranker):
    """Keeps the block of the call on self, where another thread overwrites it."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        self.block = block
        time.sleep(0.001)
        return super().score(self.block, state)


class ReadsTheUndeclared(DotReranker):
    """Prepares from a feature that it does not name."""

    def prepare(self, context: cr.Context) -> Any:
        return len(context.gallery["text"])


class DeclaresNothing(DotReranker):
    """Looks for its features itself, too late."""

    def needs(self, context: cr.Context) -> cr.Needs:
        return cr.Needs((), ())


class ForgetsAParameter(DotReranker):
    """Has a fingerprint that does not tell its scales apart."""

    Parameters = Scale

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        values = super().score(block, state).values
        return cr.Scores(values * np.float32(self.params.by))

    def fingerprint(self) -> str:
        return "scaled"


class SwallowsParameters(DotReranker):
    """Takes whatever it is given."""

    def __init__(self, **params: Any) -> None:
        super().__init__()


class ChangingFingerprint(DotReranker):
    """Is recognised by its address."""

    def fingerprint(self) -> str:
        return str(id(self))


class KeepsALock(DotReranker):
    """Has a state that cannot be sent to another process."""

    def prepare(self, context: cr.Context) -> Any:
        return threading.Lock()


class CachesBlindly(DotReranker):
    """Writes the gallery's embeddings down under one name for all galleries."""

    def prepare(self, context: cr.Context) -> Any:
        if context.cache_folder is None:
            return context.gallery["embedding"]
        path = context.cache_folder / "gallery.npy"
        if not path.exists():
            np.save(path, context.gallery["embedding"])
        return np.load(path)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        gathered = state[block.candidate_rows][block.index]
        values = np.einsum("qd,qkd->qk", block.queries["embedding"], gathered)
        return cr.Scores(values.astype(np.float32))


class Prints(DotReranker):
    """Tells the terminal how it fares."""

    def prepare(self, context: cr.Context) -> Any:
        print("preparing")  # noqa: T201  # the defect under test


class FailsOnEmptyItems(DotReranker):
    """Divides by the number of tokens."""

    info = replace(DotReranker.info, query_features=("embedding", "tokens"))

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        means = np.stack([1.0 / np.float32(len(own) or np.nan) for own in block.queries["tokens"]])
        return cr.Scores(super().score(block, state).values * means[:, None].astype(np.float32))


class KeepsThePrecision(DotReranker):
    """Returns the type of its features."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        gathered = block.candidates["embedding"][block.index]
        return cr.Scores(np.einsum("qd,qkd->qk", block.queries["embedding"], gathered))


class Explains(DotReranker):
    """Gives evidence as it should be."""

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        values = self.score(block, state).values
        return [
            self.piece(
                block.queries.ids[row],
                block.candidates.ids[block.index[row, place]],
                float(values[row, place]),
            )
            for row, place in np.argwhere(block.mask)
        ]

    def piece(self, query: str, candidate: str, score: float) -> cr.Evidence:
        return cr.Evidence(query, candidate, score, (cr.Link("a", "b", 1.0),))


class ExplainsWithNumpy(Explains):
    def piece(self, query: str, candidate: str, score: float) -> cr.Evidence:
        weight: Any = np.float32(1)
        return cr.Evidence(query, candidate, score, (cr.Link("a", "b", weight),))


class ExplainsInPixels(Explains):
    def piece(self, query: str, candidate: str, score: float) -> cr.Evidence:
        return cr.Evidence(
            query, candidate, score, (cr.Link("a", "b", 1.0, candidate_box=(0.0, 0.0, 9.0, 9.0)),)
        )


class ExplainsAnotherScore(Explains):
    def piece(self, query: str, candidate: str, score: float) -> cr.Evidence:
        return cr.Evidence(query, candidate, score + 1)


class ExplainsOnePair(Explains):
    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        return super().explain(block, state)[:1]


class ExplainsBackwards(Explains):
    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        return super().explain(block, state)[::-1]


class BadInfo(DotReranker):
    info = cr.RerankerInfo(
        name="dot",
        summary="a str where a tuple belongs",
        query_features="embedding",  # type: ignore[arg-type]  # the defect under test
        candidate_features=("embedding",),
    )


class NoSummary(DotReranker):
    info = replace(DotReranker.info, summary="")


class OddName(DotReranker):
    info = replace(DotReranker.info, name="dot:depth=3")


class OddDirection(DotReranker):
    info = replace(DotReranker.info, directions=("text-to-image",))


class NoDirections(DotReranker):
    nowhere: Any = None
    info = replace(DotReranker.info, directions=nowhere)


class LooseParameters(DotReranker):
    """Can be changed while it runs."""

    @dataclass
    class Parameters:
        by: float = 1.0


class NeedsWhatIsThere(DotReranker):
    """Does not miss what it needs until it is too late."""

    def needs(self, context: cr.Context) -> cr.Needs:
        return cr.Needs(
            tuple(name for name in ("embedding",) if name in context.queries),
            tuple(name for name in ("embedding",) if name in context.gallery),
        )


class CutsToTheShorter(DotReranker):
    """Compares rows of different length by their first numbers."""

    def needs(self, context: cr.Context) -> cr.Needs:
        same = len(context.queries["embedding"][0]) == len(context.gallery["embedding"][0])
        return super().needs(context) if same else cr.Needs((), ())

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        if "embedding" in block.queries:
            return super().score(block, state)
        return cr.Scores(np.zeros(block.mask.shape, np.float32))


class TrustsBaseScores(DotReranker):
    """Takes it for granted that there are base scores."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        base: Any = block.base_scores
        return cr.Scores((super().score(block, state).values + base * 1.0).astype(np.float32))


class HashesConcepts(DotReranker):
    """Relies on tuples, which are lists when they come from disk."""

    info = replace(DotReranker.info, directions=("t2i",))

    def prepare(self, context: cr.Context) -> Any:
        return {concept for own in context.queries["concepts"] for concept in own}

    def needs(self, context: cr.Context) -> cr.Needs:
        return cr.Needs(("embedding", "concepts"), ("embedding",), prepare_only=("concepts",))


class ReadsMemory(DotReranker):
    """Reads embeddings in the order in which they lie in memory."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        rows = block.queries["embedding"]
        turned = np.ravel(rows, order="K").reshape(rows.shape)
        gathered = block.candidates["embedding"][block.index]
        return cr.Scores(np.einsum("qd,qkd->qk", turned, gathered).astype(np.float32))


class ExplainsTheAbsent(Explains):
    """Takes extras for granted."""

    info = replace(DotReranker.info, explain_features=("text",))

    def explain(self, block: cr.Block, state: Any) -> Sequence[cr.Evidence]:
        assert len(block.queries["text"]) == len(block.queries)
        return super().explain(block, state)
