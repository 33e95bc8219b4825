"""Raw scores of every stage on Flickr8k, kept on disk: studies of fusion are arithmetic on them.

    python research/stage_scores.py --features FEATURES --work WORK [--directions t2i i2t]

FEATURES as for `hubness_study.py`.  WORK gets a matrix per split, direction and stage, NaN where
nothing was scored, and likewise of a sample of the train split (the bank).  A matrix that is there
is not made again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from hubness_study import judgements, opened

Floats = NDArray[np.float64]
Wanted = NDArray[np.bool_]
DEPTH, NEAR = 100, 48
"""How many candidates cheap stages see, and how many of those a cross-encoder may be asked for."""
STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "filip": ("filip", {}),
    "words": ("filip", {"mode": "t2i"}),
    "mack": ("mack", {}),
    "cprd": ("cprd", {}),
    "lite_itm": ("lite_itm", {}),
}
"""Per name a reranker and its parameters; in t2i filip takes the mean over words by itself."""
BASES = {"t2i": {"k": 32, "alpha": 0.75}, "i2t": {"k": 32, "alpha": 1.0}}
"""What val chose for ``nnn`` over embeddings in `hubness_study.py`."""
BANKED = {"t2i": 2000, "i2t": 400}
"""Items of the sample of the train split that cheap stages score."""
SHARES = {"filip": 1, "words": 1, "mack": 4, "lite_itm": 4}
"""Every how manieth of them a stage scores."""
SEEN = {"t2i": 100, "i2t": 500}
"""To which depth the cross-encoder scores them."""
ROUGH = {"filip": 1.25, "mack": 0.5}
"""Weights that say what the cross-encoder may be asked for."""


@dataclass(frozen=True)
class Side:
    """One direction of a split, and what stages say of it."""

    features: Path
    work: Path
    split: str
    direction: str

    @property
    def kinds(self) -> tuple[str, str]:
        """What asks, and what is listed."""
        return ("texts", "images") if self.direction == "t2i" else ("images", "texts")

    @cached_property
    def queries(self) -> cr.Collection:
        """The split's queries."""
        return opened(self.features / self.split, self.kinds[0])

    @cached_property
    def gallery(self) -> cr.Collection:
        """What is searched."""
        return opened(self.features / self.split, self.kinds[1])

    @cached_property
    def bank(self) -> cr.Collection:
        """The train split's items of the queries' kind."""
        return opened(self.features / "train", self.kinds[0])

    def sample(self, share: int = 1) -> cr.Collection:
        """Return some of the bank, evenly."""
        rows = np.linspace(0, len(self.bank) - 1, BANKED[self.direction]).astype(np.int64)
        return self.bank.take(rows[::share])

    @cached_property
    def qrels(self) -> dict[str, dict[str, int]]:
        """What is relevant."""
        return judgements(self.features, self.split, self.direction)

    @cached_property
    def relevant(self) -> Wanted:
        """``[Q, N]`` the same."""
        found = np.zeros((len(self.queries), len(self.gallery)), np.bool_)
        for row, query in enumerate(self.queries.ids):
            found[row, [self.gallery.row(each) for each in self.qrels[query]]] = True
        return found

    def base(self, corrected: bool = False, items: cr.Collection | None = None) -> Floats:
        """Return ``[Q, N]`` inner products, or those that ``nnn`` corrected."""
        asked = self.queries if items is None else items
        sides = [np.asarray(each["embedding"], np.float64) for each in (asked, self.gallery)]
        s: Floats = sides[0] @ sides[1].T
        return s - self.bias if corrected else s

    @cached_property
    def bias(self) -> Floats:
        """``[N]`` what ``nnn`` takes from every candidate."""
        bank = np.asarray(self.bank["embedding"], np.float64)
        given = BASES[self.direction]
        found = means(bank @ np.asarray(self.gallery["embedding"], np.float64).T, int(given["k"]))
        return np.asarray(given["alpha"] * found, np.float64)

    def scores(self, name: str, banked: bool = False) -> Floats:
        """Return ``[Q, N]`` raw scores of a stage, NaN where nothing is known."""
        return np.asarray(np.load(self.path(name, banked)), np.float64)

    def path(self, name: str, banked: bool) -> Path:
        """Return where they are kept."""
        told = ".bank" if banked else ""
        return self.work / f"{self.split}.{self.direction}.{name}{told}.npy"

    def make(self, name: str) -> None:
        """Score what is not there yet."""
        for banked in (False, True):
            path = self.path(name, banked)
            if path.is_file() or (banked and name not in SHARES):
                continue
            start = time.process_time()
            asked = self.sample(SHARES[name]) if banked else self.queries
            wanted = self._banked(name, asked) if banked else self._wanted(name)
            reranker, params = STAGES[name]
            stage = cr.Stage(reranker, fusion=cr.Replace(), params=params)
            found = scored(stage, asked, self.gallery, wanted)
            np.save(path, found.astype(np.float32))
            pairs, seconds = int(wanted.sum()), time.process_time() - start
            print(f"{path.stem}: {pairs:,} pairs, {seconds:.0f} s of CPU", flush=True)

    def _wanted(self, name: str) -> Wanted:
        """Return ``[Q, N]`` the pairs of the queries that a stage scores."""
        plain, corrected = self.base(), self.base(corrected=True)
        wanted = best(plain, DEPTH) | best(corrected, DEPTH)
        if name != "lite_itm":
            return wanted
        near = np.zeros_like(wanted)
        for base in (plain, corrected):
            total = np.where(best(base, DEPTH), 0, -np.inf) + standardised(base, best(base, DEPTH))
            for stage, weight in ROUGH.items():
                raw = self.scores(stage)
                known = np.isfinite(raw)
                total += weight * np.where(known, standardised(raw, known), 0)
            near |= best(total, NEAR)
        if self.direction == "t2i":  # the whole depth for the first caption of each picture
            near[::5] = best(corrected, DEPTH)[::5]
        else:
            near |= best(corrected, DEPTH)
        return near

    def _banked(self, name: str, asked: cr.Collection) -> Wanted:
        """Return ``[B, N]`` the pairs of the bank that a stage scores."""
        if name != "lite_itm":
            return np.ones((len(asked), len(self.gallery)), np.bool_)
        depth = SEEN[self.direction]
        return best(self.base(items=asked), depth) | best(
            self.base(corrected=True, items=asked), depth // 2
        )


class Known(cr.Reranker):
    """Gives back what is known of the pairs, by id; it abstains on the others.

    Parameters
    ----------
    scores
        ``[Q, N]``, NaN where nothing is known.
    query_ids, candidate_ids
        What its rows and columns are called.
    """

    info = cr.RerankerInfo(name="known", summary="scores that are known")

    def __init__(
        self, scores: Floats, query_ids: tuple[str, ...], candidate_ids: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.scores = scores
        self._queries: Mapping[str, int] = {each: row for row, each in enumerate(query_ids)}
        self._candidates: Mapping[str, int] = {each: row for row, each in enumerate(candidate_ids)}

    def fingerprint(self) -> str:
        """Return a digest of the scores: two of these are not one."""
        return cr.fingerprint([super().fingerprint(), self.scores])

    def prepare(self, context: cr.Context) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Look the ids up."""
        queries = [self._queries[each] for each in context.queries.ids]
        return np.array(queries), np.array([self._candidates[e] for e in context.gallery.ids])

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Look the pairs up."""
        rows, columns = state
        found = self.scores[rows[block.query_rows][:, None], columns[block.candidate_rows]]
        found = np.take_along_axis(found, block.index, axis=1)
        silent = np.isnan(found) & block.mask
        return cr.Scores(np.where(np.isnan(found), 0, found).astype(np.float32), silent)


def known(side: Side, name: str, bias: Floats | float = 0.0) -> Known:
    """Return what a stage says of queries and bank, less a bias of each candidate."""
    scores, ids = side.scores(name) - bias, tuple(side.queries.ids)
    if name in SHARES:
        scores = np.concatenate([scores, side.scores(name, banked=True) - bias])
        ids = (*ids, *side.sample(SHARES[name]).ids)
    return Known(scores, ids, tuple(side.gallery.ids))


def scored(
    stage: cr.Stage, queries: cr.Collection, gallery: cr.Collection, wanted: Wanted
) -> Floats:
    """Return ``[Q, N]`` raw scores of some pairs, NaN elsewhere and where the stage abstains."""
    lengths = wanted.sum(axis=1)
    order = np.argsort(~wanted, axis=1, kind="stable")[:, : lengths.max()]
    lists = cr.Candidates(
        index=order,
        scores=None,
        mask=np.arange(order.shape[1]) < lengths[:, None],
        query_ids=queries.ids,
        candidate_ids=gallery.ids,
    )
    rankings = cr.Pipeline(stage).rerank(lists, queries, gallery)
    found = np.full(wanted.shape, np.nan)
    own = rankings.scores(rankings.stages[0].name)
    places = np.nonzero(rankings.mask)
    found[places[0], rankings.index[places]] = own[places]
    return found


def best(matrix: Floats, count: int) -> Wanted:
    """Return ``[Q, N]`` which candidates are among the first of their row."""
    found = np.zeros(matrix.shape, np.bool_)
    np.put_along_axis(found, np.argsort(-matrix, axis=1, kind="stable")[:, :count], True, axis=1)
    return found


def standardised(values: Floats, counted: Wanted) -> Floats:
    """Return z-scores over what is counted of each row, 0 for constant rows."""
    count = np.maximum(counted.sum(axis=1, keepdims=True), 1)
    mean = np.where(counted, values, 0).sum(axis=1, keepdims=True) / count
    away = np.where(counted, values - mean, 0)
    deviation = np.sqrt((away**2).sum(axis=1, keepdims=True) / count)
    z: Floats = away / np.where(deviation > 0, deviation, 1)
    return z


def means(bank: Floats, k: int) -> Floats:
    """Return ``[N]`` the mean of each candidate's k largest; the lowest for what is not known."""
    known = np.isfinite(bank)
    if not known.all():
        lowest = np.where(known, bank, np.inf).min(axis=1, keepdims=True)
        bank = np.where(known, bank, np.where(np.isfinite(lowest), lowest, bank[known].mean()))
    count = min(k, len(bank))
    return np.asarray(np.partition(bank, len(bank) - count, axis=0)[-count:].mean(axis=0))


def stages_of(direction: str) -> list[str]:
    """Return the names of those that say something of their own."""
    return [name for name in STAGES if name != "words" or direction == "i2t"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--directions", nargs="+", default=["t2i", "i2t"])
    arguments.add_argument("--stages", nargs="+", default=list(STAGES), choices=list(STAGES))
    given = arguments.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    for direction in given.directions:
        for name in [each for each in stages_of(direction) if each in given.stages]:
            for split in ("val", "test"):
                Side(given.features, given.work, split, direction).make(name)


if __name__ == "__main__":
    main()
