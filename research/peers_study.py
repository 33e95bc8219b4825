"""Calibration, depth by query and learned fusion on Flickr8k: fitted on val, reported on test.

    python research/peers_study.py --features FEATURES --work WORK -o docs/studies/peers_flickr8k.md

FEATURES as for `hubness_study.py`, WORK as `stage_scores.py` made it.  t2i asks with the first
caption of each picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_ablation.depths import DepthPoint, depth_curve, fit_depth
from crossrank_calibration import calibrate, measured
from crossrank_fuse import cross_fitted, fit
from stage_scores import BASES, DEPTH, Known, Side, known, stages_of

WEIGHTS = {"t2i": (1.5, 0.5), "i2t": (1.0, 1.0)}
"""Of filip and lite_itm, likewise."""
FOLDS = 5
LEAST = (0.1, 0.3, 0.5, 0.7)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    arguments.add_argument("--directions", nargs="+", default=["t2i", "i2t"])
    given = arguments.parse_args()
    lines = [
        "# Calibration, depth and learned fusion on Flickr8k",
        "",
        "Made by `python research/peers_study.py`: fitted on val, reported on test; t2i asks with",
        "the first caption of each of the 1,000 pictures. The pipeline is nnn (30,000 banked",
        "captions, or 6,000 pictures), filip and lite_itm over the first 100.",
    ]
    for direction in given.directions:
        val, test = (
            Pipelined(Side(given.features, given.work, split, direction))
            for split in ("val", "test")
        )
        lines += ["", f"## {direction}", "", *calibrated(val, test), "", *thresholds(val, test)]
        lines += ["", *depths(val, test)]
        lines += ["", *fused(val, test)]
        given.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


class Pipelined:
    """One direction of a split, with the results of the pipeline and of each stage alone."""

    def __init__(self, side: Side) -> None:
        self.side, self.direction = side, side.direction
        self.queries, self.gallery = side.queries, side.gallery
        if side.direction == "t2i":
            self.queries = self.queries.take(np.arange(0, len(self.queries), 5))
        self.qrels = {each: side.qrels[each] for each in self.queries.ids}
        params = {"bank": side.bank, **BASES[side.direction]}
        stage = cr.Stage("nnn", fusion=cr.Replace(), params=params)
        everything = cr.search(self.queries, self.gallery, depth=len(self.gallery))
        found = cr.Pipeline(stage).rerank(everything, self.queries, self.gallery, top_k=DEPTH)
        self.base = cr.Candidates.from_run(
            found.to_run(), query_ids=self.queries.ids, candidate_ids=self.gallery.ids
        )
        self.rankings = self.rerank(self.pipeline())

    def pipeline(self) -> cr.Pipeline:
        """Return filip and lite_itm."""
        weights = zip(("filip", "lite_itm"), WEIGHTS[self.direction], strict=True)
        return cr.Pipeline(
            [
                cr.Stage(
                    known(self.side, name), depth=DEPTH, fusion=cr.WeightedSum(weight), name=name
                )
                for name, weight in weights
            ]
        )

    def rerank(self, pipeline: cr.Pipeline) -> cr.Rankings:
        """Run it over the first hundred."""
        return pipeline.rerank(self.base, self.queries, self.gallery)

    def alone(self, name: str) -> cr.Rankings:
        """Return what a stage alone says of the same lists."""
        scorer: cr.Reranker = Based()
        if name == "cosine":
            ids = tuple(self.side.queries.ids), tuple(self.side.gallery.ids)
            scorer = Known(self.side.base(), *ids)
        elif name != "nnn":
            scorer = known(self.side, name)
        return self.rerank(cr.Pipeline(cr.Stage(scorer, fusion=cr.Replace(), name=name)))

    def systems(self) -> dict[str, cr.Rankings]:
        """Return the results of several scorers over the same lists."""
        found = {name: self.alone(name) for name in ("cosine", "nnn", *stages_of(self.direction))}
        return {**found, "nnn + filip + lite_itm": self.rankings}

    def split(self) -> cr.Split:
        """Return what an ablation measures on."""
        return cr.Split(self.queries, self.gallery, self.qrels, candidates=self.base)


class Based(cr.Reranker):
    """The base score itself."""

    info = cr.RerankerInfo(name="nnn", summary="the base score")

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return base scores."""
        assert block.base_scores is not None
        return cr.Scores(np.where(block.mask, block.base_scores, 0).astype(np.float32))


def calibrated(val: Pipelined, test: Pipelined) -> list[str]:
    """Return a table of calibration errors."""
    lines = [
        "**Calibration.** Expected calibration error over all pairs on test, scores as they are",
        "(in [0, 1], else through σ) and calibrated on val; the same of first hits; and nAUC of",
        "confidence in a ranking.",
        "",
        "| scorer | method | ECE before | after | first hits before | after "
        "| nAUC regression | max | gap | deviation |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    others = test.systems()
    for name, rankings in val.systems().items():
        for method in ("platt", "isotonic", "beta"):
            report = measured(calibrate(rankings, val.qrels, method), others[name], test.qrels)
            nauc = [
                "" if (value := report["nauc"][each]) is None else f"{value:.3f}"
                for each in ("regression", "max", "gap", "deviation")
            ]
            figures = [
                report[what][when] for what in ("ece", "ece_first") for when in ("before", "after")
            ]
            told = " | ".join(f"{each:.4f}" for each in figures)
            lines.append(f"| {name} | {method} | {told} | {' | '.join(nauc)} |")
    return lines


def thresholds(val: Pipelined, test: Pipelined) -> list[str]:
    """Return what a threshold keeps for two encoders: in probability, and in the score itself."""
    lines = [
        "**One threshold, two encoders.** Of the pairs that a threshold keeps on test, how many",
        "are relevant: for cosines of lite and of cprd's student. The score is the one above which",
        "lite's cosines on val are relevant that often.",
        "",
        "| threshold | lite: kept | relevant | cprd: kept | relevant |",
        "|---|---|---|---|---|",
    ]
    judged = {}
    for name in ("cosine", "cprd"):
        calibration = calibrate(val.alone(name), val.qrels, "isotonic")
        rankings = test.alone(name)
        relevant = np.array(
            [[rankings.candidate_ids[row] in test.qrels[query] for row in rows]
             for query, rows in zip(rankings.query_ids, rankings.index, strict=True)]
        )  # fmt: skip
        probability = rankings.calibrated(calibration).probabilities
        assert probability is not None
        judged[name] = probability, np.asarray(rankings.final), relevant
    for least in LEAST:
        kept = [(judged[name][0] >= least, judged[name][2]) for name in judged]
        lines.append(f"| p ≥ {least:g} | {' | '.join(precision(*each) for each in kept)} |")
        own = judged["cosine"]
        if kept[0][0].any():
            score = float(own[1][kept[0][0]].min())
            same = [(judged[name][1] >= score, judged[name][2]) for name in judged]
            lines.append(
                f"| score ≥ {score:.3f} | {' | '.join(precision(*each) for each in same)} |"
            )
    return lines


def precision(kept: NDArray[np.bool_], relevant: NDArray[np.bool_]) -> str:
    share = f"{100 * relevant[kept].mean():.1f} %" if kept.any() else ""
    return f"{int(kept.sum()):,} | {share}"


def depths(val: Pipelined, test: Pipelined) -> list[str]:
    """Return the curve over depth, with the rules that val chose."""
    rules = {by: fit_depth(val.pipeline(), val.split(), by=by) for by in ("margin", "disagreement")}
    points = depth_curve(
        test.pipeline(), test.split(), [10, 32, DEPTH, *rules.values()], ["R@1", "MRR"]
    )
    whole = points[2]
    lines = [
        "**Depth of lite_itm.** Recall ceiling and what is reached, against the pairs it scores;",
        "the rules are the cheapest that kept 99.9 % of MRR on val. p of R@1 against depth 100.",
        "",
        "| depth | pairs | of all | ceiling | R@1 | MRR | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for point in points:
        p = "" if point is whole else f"{p_value(test, point, whole):.3f}"
        lines.append(
            f"| {shown(point)} | {point.pairs:,} | {100 * point.pairs / whole.pairs:.0f} % | "
            f"{point.ceiling:.1f} | {point.metrics['R@1']:.2f} | {point.metrics['MRR']:.4f} | {p} |"
        )
    return lines


def shown(point: DepthPoint) -> str:
    if isinstance(point.depth, int):
        return str(point.depth)
    return f"auto: {point.depth.by}, {point.depth.threshold:g}"


def p_value(side: Pipelined, point: DepthPoint, whole: DepthPoint) -> float:
    """Return p of the difference in R@1 between two depths."""
    runs = {}
    for name, each in (("whole", whole), ("auto", point)):
        first, last = side.pipeline().stages
        stage = cr.Stage(last.scorer, depth=each.depth, fusion=last.fusion, name=last.name)
        found = cr.Pipeline([first, stage]).rerank(side.base, side.queries, side.gallery)
        runs[name] = found.to_run()
    gain = cr.evaluate(runs, side.qrels, ["R@1"]).gains["auto"]["R@1"]
    return 1.0 if gain.p_value is None else gain.p_value


def fused(val: Pipelined, test: Pipelined) -> list[str]:
    """Return learned fusions beside the weighted sum."""
    systems: dict[str, Mapping[str, Mapping[str, float]]] = {"weighted sum": test.rankings.to_run()}
    chosen = {"weighted sum": ""}
    for method in ("weights", "lambdamart"):
        rule = fit(val.rankings, val.qrels, method)
        systems[method] = rule.apply(test.rankings).to_run()
        chosen[method] = ", ".join(
            f"{name} {weight:g}" for name, weight in zip(rule.names, rule.weights, strict=False)
        )
    evaluation = cr.evaluate(systems, test.qrels, ["R@1", "R@5", "MRR"])
    crossed = {
        method: cross_fitted(val.rankings, val.qrels, method, folds=FOLDS).to_run()
        for method in ("weights", "lambdamart")
    }
    own = cr.evaluate(
        {"weighted sum": val.rankings.to_run(), **crossed}, val.qrels, ["R@1", "MRR"], resamples=0
    )
    lines = [
        "**Learned fusion** of the scores of nnn, filip and lite_itm, fitted on val.",
        "",
        "| | R@1 on test | Δ | p | R@5 | MRR | MRR on val, cross-fitted | weights |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in systems:
        row = evaluation[name]
        gain = evaluation.gains.get(name, {}).get("R@1")
        told = " | " if gain is None else f"{gain.difference:+.2f} | {gain.p_value or 0:.3f}"
        lines.append(
            f"| {name} | {row['R@1']:.2f} | {told} | {row['R@5']:.2f} | {row['MRR']:.4f} | "
            f"{own[name]['MRR']:.4f} | {chosen[name]} |"
        )
    return lines


if __name__ == "__main__":
    main()
