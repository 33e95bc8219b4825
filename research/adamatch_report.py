"""What ``adamatch`` buys on Flickr8k: all is chosen on val, test is looked at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from cora_data import CAPTIONS
from crossrank.evaluation import bootstrap_interval, randomisation_test
from crossrank_adamatch.network import load_network, save_network
from crossrank_adamatch.patches import Cells, Windows, distinct
from first_hundred import BEFORE, DEPTH, Split
from itm_report import fused, reciprocal_rank

WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
SIZES = ((1,), (2,), (1, 2), (1, 3), (1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4, 5, 6, 7, 8, 9))
PRUNE = (None, 0.99, 0.98, 0.96, 0.94, 0.92, 0.9, 0.85, 0.8, 0.7)
KINDS = ("adaptive", "fixed")
DIRECTIONS = ("t2i", "i2t")

Hits: TypeAlias = NDArray[np.float64]
Scores: TypeAlias = NDArray[np.float64]
Params = Mapping[str, Any]


class Study(Split):
    """One split in one direction, as tables over the first hundred of the base."""

    def __init__(self, features: Path, name: str, direction: str, kept: Path) -> None:
        super().__init__(features, name, direction)
        if name == "val" and direction == "t2i":  # enough to choose by, in a fifth of the time
            texts = self.sides[0].take(range(0, len(self.sides[0]), CAPTIONS))
            self.sides = texts, self.sides[1]
            self.candidates = cr.search(*self.sides, depth=DEPTH)
            self.qrels = {id: self.qrels[id] for id in texts.ids}
        self.cache = kept / "cache"
        self.kept = kept / f"{name}.{direction}"
        self.kept.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, Scores] = {}

    @cached_property
    def index(self) -> NDArray[np.int64]:
        """``[Q, K]`` gallery rows of the base's lists."""
        return self.candidates.index

    @cached_property
    def own(self) -> NDArray[np.bool_]:
        """``[Q, K]``: what of the lists belongs to the queries."""
        queries, gallery = self.sides
        own = np.zeros((len(queries), len(gallery)), np.bool_)
        for query, found in self.qrels.items():
            own[queries.row(query), [gallery.row(each) for each in found]] = True
        return np.take_along_axis(own, self.index, axis=1)

    def before(self, system: str) -> Scores:
        """Return ``[Q, K]`` the scores of a system of `BEFORE`."""
        return self._once(system, BEFORE[system], None)

    def alone(self, params: Params) -> Scores:
        """Return ``[Q, K]`` the raw scores of ``adamatch``."""
        stage = cr.Stage("adamatch", fusion=cr.Replace(), params=params)
        return self._once(stage.scorer.fingerprint(), (stage,), "adamatch")

    def added(self, system: str, params: Params, weight: float) -> Scores:
        """Return a system's scores with those of ``adamatch`` added, by the library's own rule."""
        return fused(self.before(system), self.alone(params), weight)

    def _once(self, key: str, stages: Sequence[cr.Stage], name: str | None) -> Scores:
        """Return scores that may lie on disk: a report that was killed goes on."""
        path = self.kept / f"{key}.npy"
        if key not in self._known and path.exists():
            self._known[key] = np.load(path)
        if key not in self._known:
            scores: Any = self.candidates.scores
            if stages:
                rankings = cr.Pipeline(stages).rerank(
                    self.candidates, *self.sides, cache_folder=self.cache
                )
                table: Any = np.zeros((len(self.sides[0]), len(self.sides[1])))
                np.put_along_axis(table, rankings.index, rankings.scores(name), axis=1)
                scores = np.take_along_axis(table, self.index, axis=1)
            np.save(path, scores)
            self._known[key] = scores
        return self._known[key]

    def first(self, scores: Scores) -> Hits:
        """Return per query whether what belongs to it stands first, in percent."""
        best = scores.argmax(axis=1)
        own = np.take_along_axis(self.own, best[:, None], axis=1)[:, 0]
        return 100 * own.astype(np.float64)


def report(features: Path, output: Path, seeds: Sequence[int], systems: Sequence[str]) -> None:
    """Write ``figures.json`` and ``tables.md``.

    Parameters
    ----------
    features, output, seeds
        See `train_adamatch`.
    systems
        Those of `BEFORE` on which ``adamatch`` is put.
    """
    figures: dict[str, Any] = {}
    for direction in DIRECTIONS:
        val, test = (Study(features, name, direction, output / "raw") for name in ("val", "test"))
        figures[direction] = {
            "chosen on val": (chosen := choose(val, output, seeds, systems)),
            "pruned on val": pruned(val) if direction == "t2i" else [],
            "boxes alone on val": boxes_alone(val, output, seeds),
            "test": measure(test, output, seeds, chosen, systems),
        }
    text = json.dumps(figures, indent=1)
    (output / "figures.json").write_text(text + "\n", encoding="utf-8")
    (output / "tables.md").write_text(tables(figures), encoding="utf-8")


def networks(output: Path, seeds: Sequence[int]) -> dict[str, list[Params]]:
    """Return the parameters of each kind's networks."""
    files = {kind: [output / f"{kind}{seed}.safetensors" for seed in seeds] for kind in KINDS}
    return {
        kind: [{"weights": path} for path in paths]
        for kind, paths in files.items()
        if all(path.exists() for path in paths)
    }


def choose(
    val: Study, output: Path, seeds: Sequence[int], systems: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return per system and kind the sizes and the weight with the highest reciprocal rank."""
    tried: dict[str, list[list[Params]]] = {
        "windows": [[{"sizes": sizes}] for sizes in SIZES],
        **{kind: [each] for kind, each in networks(output, seeds).items()},
    }
    chosen: dict[str, dict[str, Any]] = {}
    for system in systems:
        for kind, options in tried.items():
            found = [
                (mean_rank(val, system, members, weight), weight, members[0].get("sizes"))
                for members in options
                for weight in WEIGHTS
            ]
            rank, weight, sizes = max(found, key=lambda each: each[0])
            chosen[f"{system} + {kind}"] = {"weight": weight, "sizes": sizes, "MRR": round(rank, 4)}
    chosen["tried"] = {
        str(list(sizes)): round(
            max(mean_rank(val, "base", [{"sizes": sizes}], w) for w in WEIGHTS), 4
        )
        for sizes in SIZES
    }
    return chosen


def mean_rank(val: Study, system: str, members: Sequence[Params], weight: float) -> float:
    """Return the mean over some networks of the reciprocal rank of what they are added to."""
    added = [val.added(system, each, weight) for each in members]
    return float(np.mean([reciprocal_rank(each, val.own) for each in added]))


def measure(
    test: Study,
    output: Path,
    seeds: Sequence[int],
    chosen: Mapping[str, Mapping[str, Any]],
    systems: Sequence[str],
) -> list[dict[str, Any]]:
    """Return a record for each system, with the difference to what it is compared with."""
    members = networks(output, seeds)
    records = []
    for system in systems:
        plain = test.first(test.before(system))
        records.append(record(system, "", [plain], {}, test))
        found: dict[str, list[Hits]] = {}
        for kind in ("windows", *members):
            said = chosen[f"{system} + {kind}"]
            params = [{"sizes": said["sizes"]}] if kind == "windows" else members[kind]
            found[kind] = [test.first(test.added(system, each, said["weight"])) for each in params]
        for kind, hits in found.items():
            others = {"before": [plain]}
            if system == "base":
                others["base + filip"] = [test.first(test.before("base + filip"))]
            if kind == "adaptive":
                others["fixed boxes"] = found["fixed"]
            records.append(record(system, kind, hits, others, test))
    return records


def record(
    system: str, kind: str, hits: Sequence[Hits], others: Mapping[str, Sequence[Hits]], split: Study
) -> dict[str, Any]:
    """Return R@1 of each seed, their mean, and differences tested by image."""
    return {
        "system": system,
        "kind": kind,
        "R@1": [round(float(each.mean()), 2) for each in hits],
        "mean": round(float(np.mean(hits)), 2),
        "against": {name: compared(hits, each, split) for name, each in others.items()},
    }


def compared(hits: Sequence[Hits], others: Sequence[Hits], split: Study) -> dict[str, float]:
    """Return the difference of means, its 95 % interval and p, randomised by image."""
    difference = np.mean(hits, axis=0) - np.mean(others, axis=0)
    sums = np.bincount(split.clusters, weights=difference).astype(np.float64)[None]
    low, high = bootstrap_interval(sums, np.bincount(split.clusters).astype(np.float64))
    return {
        "difference": round(float(difference.mean()), 2),
        "low": round(float(low[0]), 2),
        "high": round(float(high[0]), 2),
        "p": round(float(randomisation_test(sums)[0]), 4),
    }


def boxes_alone(val: Study, output: Path, seeds: Sequence[int]) -> dict[str, dict[str, float]]:
    """Return the best reciprocal rank over the base, of networks and of their boxes alone.

    The boxes alone are a residual network whose gates are shut: a patch is the mean of what lies
    in its box, a word is what it was.
    """

    def best(members: Sequence[Params]) -> float:
        return round(max(mean_rank(val, "base", members, weight) for weight in WEIGHTS), 4)

    found = {"filip": {"whole": best([{"sizes": (1,)}])}}
    for kind, members in networks(output, seeds).items():
        shut = []
        for each in members:
            network = load_network(each["weights"])
            if network.sizes.residual:
                network.gates.data.zero_()
                path = each["weights"].with_suffix(".shut.safetensors")
                save_network(network, path)
                shut.append({"weights": path})
        found[kind] = {"whole": best(members)} | ({"boxes alone": best(shut)} if shut else {})
    return found


def pruned(val: Study) -> list[dict[str, Any]]:
    """Return what pruning costs: patches of a picture, and R@1 over the base, on val."""
    gallery = val.sides[1]
    found = []
    for sizes in ((1, 2), (1, 2, 3)):
        source = Windows(sizes)
        for prune in PRUNE:
            counts = []
            for tokens, boxes in zip(gallery["tokens"], gallery["token_boxes"], strict=True):
                rows = source.make([Cells(tokens, boxes, (9, 9))])[0][0]
                counts.append(len(rows) if prune is None else int(distinct(rows, prune).sum()))
            scores = val.added("base", {"sizes": sizes, "prune": prune}, 1.25)
            found.append(
                {
                    "sizes": list(sizes),
                    "prune": prune,
                    "patches": round(float(np.mean(counts)), 1),
                    "R@1": round(float(val.first(scores).mean()), 2),
                    "MRR": round(reciprocal_rank(scores, val.own), 4),
                }
            )
    return found


def tables(figures: Mapping[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = []
    for direction, found in figures.items():
        lines += [
            f"### {direction}, R@1 on test",
            "",
            "| | chosen on val | R@1 of each seed | mean | against | difference (95 %) | p |",
            "|---|---|---|---|---|---|---|",
        ]
        for each in found["test"]:
            name = " + ".join(filter(None, (each["system"], each["kind"])))
            said = found["chosen on val"].get(name, {})
            chosen = f"weight {said['weight']:g}" if said else ""
            if said.get("sizes"):
                chosen += f", sizes {list(said['sizes'])}"
            start = f"| {name} | {chosen} | {', '.join(map('{:.2f}'.format, each['R@1']))} "
            start += f"| {each['mean']:.2f} |"
            rows = [
                f" {other} | {gain['difference']:+.2f} ({gain['low']:+.2f} … {gain['high']:+.2f}) "
                f"| {gain['p']:.4f} |"
                for other, gain in each["against"].items()
            ]
            lines += [start + " | | |"] if not rows else []
            lines += [(start if not place else "| | | | |") + row for place, row in enumerate(rows)]
        lines += [
            "",
            "| reciprocal rank over the base on val | whole | boxes alone |",
            "|---|---|---|",
        ]
        for name, told in found["boxes alone on val"].items():
            alone = told.get("boxes alone")
            lines.append(f"| {name} | {told['whole']:.4f} | {'' if alone is None else alone} |")
        lines.append("")
    lines += ["### pruning, t2i on val, over the base", ""]
    lines += ["| sizes | prune | patches | R@1 | MRR |", "|---|---|---|---|---|"]
    for each in figures["t2i"]["pruned on val"]:
        lines.append(
            f"| {each['sizes']} | {each['prune']} | {each['patches']} | {each['R@1']:.2f} "
            f"| {each['MRR']:.4f} |"
        )
    return "\n".join(lines) + "\n"
