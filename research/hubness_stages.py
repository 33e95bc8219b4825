r"""Corrections under and over each stage on Flickr8k: chosen on val, reported on test.

    python research/hubness_stages.py --features FEATURES --work WORK \
        -o docs/studies/hubness_stages.md

WORK is what `stage_scores.py` made.  Settings are chosen by MRR with arithmetic on its scores; the
rows of test are runs of the library, whose stages look these scores up.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from hubness_study import METRICS, table
from stage_scores import BANKED, BASES, DEPTH, SEEN, SHARES, Side, best, known, means, standardised

Floats = NDArray[np.float64]
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
CORRECTIONS = [(None, 0.0), *((k, alpha) for k in (8, 32) for alpha in (0.5, 1.0))]
OVER_ALL = [(16, 0.5), (16, 1.0)]
SECOND = 32
"""How many candidates lite_itm sees."""
PASSES = 2
REFERENCE = "base + filip + mack + lite_itm"
PLAIN = ("filip", "mack", "lite_itm")
PEERS: dict[str, dict[str, dict[str, Any]]] = {
    "t2i": {
        "nnn": {"k": 32, "alpha": 0.75},
        "csls": {"k": 64},
        "invsoftmax": {"beta": 20, "log": True},
        "qbnorm": {"beta": 20, "k": 1, "log": True},
        "dualis": {"beta1": 20, "beta2": 10, "log": True},
        "dn": {},
    },
    "i2t": {
        "nnn": {"k": 32, "alpha": 1.0},
        "csls": {"k": 16},
        "invsoftmax": {"beta": 20, "log": True},
        "qbnorm": {"beta": 20, "k": 5, "log": True},
        "dualis": {"beta1": 20, "beta2": 10, "log": True},
        "dn": {},
    },
}
LOOKING: dict[str, dict[str, dict[str, Any]]] = {
    "t2i": {"dsl": {"beta": 20}, "sinkhorn": {"temperature": 0.05, "log": True}},
    "i2t": {"dsl": {"beta": 20}, "sinkhorn": {"temperature": 0.03, "log": True}},
}
"""What val chose in `hubness_study.py`: with a bank, and looking at the run's other queries."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One stage of a pipeline: its weight, and what is taken from its scores."""

    name: str
    weight: float = 1.0
    k: int | None = None
    alpha: float = 0.0

    def __str__(self) -> str:
        over = "" if self.k is None else f" (k {self.k}, α {self.alpha:g})"
        return f"{self.name} {self.weight:g}{over}"


class Lists:
    """The first candidates of every query, best first, and what stages say of them."""

    def __init__(self, side: Side, candidates: cr.Candidates) -> None:
        self.side, self.candidates = side, candidates
        order = np.argsort(-np.asarray(candidates.scores), axis=1, kind="stable")
        self.index = np.take_along_axis(candidates.index, order, axis=1)
        self.base = np.take_along_axis(np.asarray(candidates.scores), order, axis=1)
        self.relevant = np.take_along_axis(side.relevant, self.index, axis=1)
        self._raw: dict[tuple[str, int | None, float], Floats] = {}
        self._banked: dict[str, Floats] = {}

    def raw(self, each: Setting) -> Floats:
        """Return ``[Q, K]`` the scores of a stage, less its bias."""
        key = each.name, each.k, each.alpha
        if key not in self._raw:
            scores = self.side.scores(each.name)
            if each.k is not None:
                scores = scores - each.alpha * means(self.banked(each.name), each.k)
            self._raw[key] = np.take_along_axis(scores, self.index, axis=1)
        return self._raw[key]

    def banked(self, name: str) -> Floats:
        """Return ``[B, N]`` what a stage says of the bank."""
        if name not in self._banked:
            scores = self.side.scores(name, banked=True)
            if name == "lite_itm":
                sample = self.side.sample(SHARES[name])
                near = best(self.side.base(items=sample), SEEN[self.side.direction])
                scores = np.where(near, scores, np.nan)
            self._banked[name] = scores
        return self._banked[name]

    def fused(self, settings: Sequence[Setting], before: Floats | None = None) -> Floats:
        """Return ``[Q, K]`` scores after some stages, which follow the base or other scores."""
        total = self.base if before is None else before
        for each in settings:
            if each.weight:
                total = joined(total, self.raw(each), each.weight, depth_of(each.name))
        return total

    def mrr(self, total: Floats) -> float:
        """Return the mean reciprocal rank of the first relevant candidate."""
        high = np.where(self.relevant, total, -np.inf).max(axis=1, keepdims=True)
        found = np.isfinite(high[:, 0])
        return float((found / (1 + (total > high).sum(axis=1))).mean())


def joined(previous: Floats, raw: Floats, weight: float, depth: int) -> Floats:
    """Return what a weighted sum of z-scores makes of two scores; what is unseen comes below."""
    seen = np.ones(raw.shape, np.bool_)
    if depth < raw.shape[1]:
        seen = best(previous, depth)
    counted = seen & np.isfinite(raw)
    count = np.maximum(counted.sum(axis=1, keepdims=True), 1)
    mean = np.where(counted, previous, 0).sum(axis=1, keepdims=True) / count
    deviation = np.sqrt(np.where(counted, (previous - mean) ** 2, 0).sum(1, keepdims=True) / count)
    total = (previous - mean) / np.where(deviation > 0, deviation, 1)
    total = total + weight * standardised(np.where(counted, raw, 0), counted)
    below: Floats = np.where(seen, total, total - 1e6)
    return below


def depth_of(name: str) -> int:
    return SECOND if name == "lite_itm" else DEPTH


def tuned(lists: Lists, names: Sequence[str], over: Sequence[str] = ()) -> list[Setting]:
    """Return the settings with the best MRR, one stage after the other; `over` may be corrected."""
    settings = [Setting(name) for name in names]
    for _ in range(PASSES):
        for place, name in enumerate(names):
            corrections = CORRECTIONS if name in over else CORRECTIONS[:1]
            before = lists.fused(settings[:place])
            tried: list[tuple[float, int, Setting]] = []
            for k, alpha in corrections:
                for weight in WEIGHTS:
                    settings[place] = Setting(name, weight, k if weight else None, alpha)
                    total = lists.fused(settings[place:], before)
                    tried.append((lists.mrr(total), -len(tried), settings[place]))
            settings[place] = max(tried)[2]
    return [each for each in settings if each.weight]


def stages(side: Side, settings: Sequence[Setting]) -> list[cr.Stage]:
    """Return the stages of a pipeline, which look scores up."""
    found = []
    for each in settings:
        fusion, depth = cr.WeightedSum(each.weight), depth_of(each.name)
        own = cr.Stage(known(side, each.name), name=each.name)
        if each.k is None:
            found.append(replace(own, depth=depth, fusion=fusion))
            continue
        if each.name == "lite_itm":
            own = replace(own, depth=SEEN[side.direction])
        bank = side.sample(SHARES[each.name])
        params = {"bank": bank, "over": own, "k": each.k, "alpha": each.alpha}
        name = f"nnn over {each.name}"
        found.append(cr.Stage("nnn", depth=depth, fusion=fusion, params=params, name=name))
    return found


def over_all(side: Side, k: int, alpha: float) -> cr.Stage:
    """Return nnn over whatever the stages before made of the pairs."""
    params = {"bank": side.sample(4), "over": "scores", "k": k, "alpha": alpha}
    return cr.Stage("nnn", fusion=cr.Replace(), params=params, name="nnn over all")


def corrected(side: Side, name: str, params: Mapping[str, Any], depth: int) -> cr.Candidates:
    """Return the first hundred after a correction of so many candidates of the base."""
    own = dict(params)
    if name in PEERS["t2i"]:
        own.setdefault("bank", side.bank)
    if name in ("dualis", "dn"):
        listed = side.kinds[1]
        own["gallery_bank"] = cr.Collection.open(side.features / "train" / listed)
    lists = cr.search(side.queries, side.gallery, depth=depth)
    stage = cr.Stage(name, fusion=cr.Replace(), params=own)
    found = cr.Pipeline(stage).rerank(lists, side.queries, side.gallery, top_k=DEPTH)
    return cr.Candidates(
        index=found.index,
        scores=np.asarray(found.final, np.float64),
        mask=found.mask,
        query_ids=found.query_ids,
        candidate_ids=found.candidate_ids,
        direction=found.direction,
    )


class Study:
    """One direction."""

    def __init__(self, features: Path, work: Path, direction: str) -> None:
        self.direction = direction
        self.sides = {s: Side(features, work, s, direction) for s in ("val", "test")}
        self.lists = {
            (split, base): Lists(side, self.candidates(side, base))
            for split, side in self.sides.items()
            for base in ("base", "nnn")
        }
        self.runs: dict[str, cr.Rankings] = {}
        self.chosen: dict[str, str] = {}

    def candidates(self, side: Side, base: str) -> cr.Candidates:
        """Return the first hundred of a base, which nnn corrected over the whole gallery."""
        if base == "base":
            return cr.search(side.queries, side.gallery, depth=DEPTH)
        return corrected(side, "nnn", BASES[self.direction], len(side.gallery))

    def add(self, name: str, base: str, names: Sequence[str], over: Sequence[str] = ()) -> None:
        """Choose a pipeline on val, and run it on test."""
        settings = tuned(self.lists["val", base], names, over)
        test = self.lists["test", base]
        pipeline = stages(test.side, settings)
        self.keep(name, pipeline, test, ", ".join(map(str, settings)))
        value = test.mrr(test.fused(settings))
        print(self.direction, name, self.chosen[name], f"MRR by arithmetic {value:.4f}", flush=True)

    def add_over_all(self, name: str, base: str, settings: Sequence[Setting]) -> None:
        """Correct the scores of a whole pipeline, k and α chosen on val."""
        tried: list[tuple[float, int, tuple[int, float]]] = []
        for k, alpha in OVER_ALL:
            found = self._over_all("val", base, settings, k, alpha)
            value = cr.evaluate(found, self.sides["val"].qrels, ["MRR"], resamples=0)
            tried.append((next(iter(value.rows.values()))["MRR"], -len(tried), (k, alpha)))
        k, alpha = max(tried)[2]
        self.runs[name] = self._over_all("test", base, settings, k, alpha)
        self.chosen[name] = f"k {k}, α {alpha:g}"
        print(self.direction, name, self.chosen[name], flush=True)

    def _over_all(
        self, split: str, base: str, settings: Sequence[Setting], k: int, alpha: float
    ) -> cr.Rankings:
        side = self.sides[split]
        pipeline = [*stages(side, settings), over_all(side, k, alpha)]
        depth = DEPTH
        if base == "nnn":
            params = {"bank": side.bank, **BASES[self.direction]}
            pipeline = [cr.Stage("nnn", fusion=cr.Replace(), params=params), *pipeline]
            pipeline[-1] = replace(pipeline[-1], depth=DEPTH)
            depth = len(side.gallery)
        lists = cr.search(side.queries, side.gallery, depth=depth)
        return cr.Pipeline(pipeline).rerank(lists, side.queries, side.gallery, top_k=DEPTH)

    def keep(self, name: str, pipeline: Sequence[cr.Stage], test: Lists, told: str) -> None:
        """Run a pipeline on test."""
        side = test.side
        if pipeline:
            made = cr.Pipeline(list(pipeline))
            self.runs[name] = made.rerank(test.candidates, side.queries, side.gallery)
        else:
            first = cr.Stage(Before(), fusion=cr.Replace())
            self.runs[name] = cr.Pipeline(first).rerank(test.candidates, side.queries, side.gallery)
        self.chosen[name] = told

    def peers(self, given: Mapping[str, Mapping[str, Any]]) -> None:
        """Add every correction of the first hundred, alone and under all stages."""
        for name, params in given.items():
            lists = {
                split: Lists(side, corrected(side, name, params, DEPTH))
                for split, side in self.sides.items()
            }
            settings = tuned(lists["val"], PLAIN)
            shown = f"{name} of the first {DEPTH}"
            self.keep(shown, [], lists["test"], "")
            self.keep(
                f"{shown} + filip + mack + lite_itm",
                stages(self.sides["test"], settings),
                lists["test"],
                ", ".join(map(str, settings)),
            )
            print(self.direction, name, ", ".join(map(str, settings)), flush=True)

    def table(self, names: Sequence[str]) -> list[str]:
        """Return a table whose gains are over the reference."""
        order = [REFERENCE, *(name for name in names if name != REFERENCE)]
        runs = {name: self.runs[name].to_run() for name in order}
        qrels = self.sides["test"].qrels
        evaluation = cr.evaluate(runs, qrels, METRICS, direction=self.direction)
        return table(evaluation, self.chosen)


class Before(cr.Reranker):
    """The score before the stage."""

    info = cr.RerankerInfo(name="before", summary="the base score")

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return base scores."""
        assert block.base_scores is not None
        return cr.Scores(np.where(block.mask, block.base_scores, 0).astype(np.float32))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    arguments.add_argument("--directions", nargs="+", default=["t2i", "i2t"])
    given = arguments.parse_args()
    lines = [
        "# Corrections under and over each stage, on Flickr8k",
        "",
        "Made by `python research/stage_scores.py` and `python research/hubness_stages.py`:",
        "settings chosen on val by MRR, test reported once; lite_itm sees the first 32 of 100.",
        "*nnn + …*: nnn over embeddings of the whole gallery, all of train being its bank, before",
        "the stages; *each over*: nnn over the stage's own scores where val wanted it, k and α",
        f"behind its weight (a bank of {BANKED['t2i']:,} train captions or {BANKED['i2t']} train",
        "pictures, a quarter of it for mack and lite_itm); *over all*: nnn over what the whole",
        "pipeline made of a pair. Gains are over the first row.",
    ]
    for direction in given.directions:
        study = Study(given.features, given.work, direction)
        lines += sections(study)
        given.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def sections(study: Study) -> list[str]:
    """Run everything of a direction."""
    words = ("filip", "words", "mack", "lite_itm") if study.direction == "i2t" else PLAIN
    student = (*words[:-2], "cprd", *words[-2:])
    study.add(REFERENCE, "base", PLAIN)
    study.keep("base", [], study.lists["test", "base"], "")
    study.add("base + filip", "base", ["filip"])
    study.add("base + filip, over", "base", ["filip"], ["filip"])
    study.add(f"{REFERENCE}, each over", "base", PLAIN, PLAIN)
    study.add_over_all(f"{REFERENCE}, over all", "base", tuned(study.lists["val", "base"], PLAIN))
    study.keep("nnn", [], study.lists["test", "nnn"], "")
    study.add("nnn + filip", "nnn", ["filip"])
    study.add("nnn + filip, over", "nnn", ["filip"], ["filip"])
    if study.direction == "i2t":
        study.add("base + filip by words, over", "base", ["words"], ["words"])
        study.add("base + filip + filip by words, over", "base", words[:2], words[:2])
        study.add("nnn + filip by words, over", "nnn", ["words"], ["words"])
    study.add("nnn + filip + mack + lite_itm", "nnn", PLAIN)
    study.add("nnn + filip + mack + lite_itm, each over", "nnn", PLAIN, PLAIN)
    if study.direction == "i2t":
        study.add("nnn + filip + filip by words + mack + lite_itm, each over", "nnn", words, words)
    study.add(f"nnn + {' + '.join(student)}, each over", "nnn", student, words)
    study.add_over_all(
        "nnn + filip + mack + lite_itm, over all", "nnn", tuned(study.lists["val", "nnn"], PLAIN)
    )
    first = list(study.runs)
    study.peers(PEERS[study.direction])
    inductive = [name for name in study.runs if name not in first]
    seen = len(study.runs)
    study.peers(LOOKING[study.direction])
    looking = list(study.runs)[seen:]
    title = f"## {study.direction}"
    return [
        "",
        f"{title}: under, over, and both",
        "",
        *study.table(first),
        "",
        f"{title}: every correction of the base's first hundred, with a bank of the train split",
        "",
        *study.table(inductive),
        "",
        f"{title}: looking at the other queries",
        "",
        *study.table(looking),
    ]


if __name__ == "__main__":
    main()
