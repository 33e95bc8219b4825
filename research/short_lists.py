r"""How two scores of a short list should be added up: Flickr8k and SugarCrepe, 2 to 10 candidates.

    python research/short_lists.py --features FEATURES --work WORK --data DATA \
        -o docs/studies/short_lists.md

WORK is what `stage_scores.py` made of t2i and i2t, DATA holds ``sugarcrepe`` and ``coco_cc``.  The
judgements are people's: captions that somebody wrote for a picture, and SugarCrepe's negatives,
which people found wrong.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import randomisation_test
from stage_scores import Side

Floats = NDArray[np.float64]
COUNTS = (2, 3, 5, 10)
HARD = 30
"""How far down the base's list the others are drawn from."""
WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0)
DEFAULT = "z-scores of the row (default)"


@dataclass(frozen=True, slots=True)
class ShortLists:
    """Lists whose first candidate is the right one.

    Parameters
    ----------
    base, raw
        ``[Q, n]`` the scores before a stage, and the stage's.
    cluster
        ``[Q]`` the picture each belongs to.
    """

    base: Floats
    raw: Floats
    cluster: NDArray[np.int64]

    def statistics(self) -> cr.Statistics:
        """Return mean and deviation of both."""
        sides = self.raw.mean(), self.raw.std(), self.base.mean(), self.base.std()
        return cr.Statistics(*map(float, sides))

    def right(self, fusion: cr.Fusion) -> Floats:
        """Return ``[Q]`` 1 where the right one is first, 1/m where it shares the place with m."""
        every = np.ones(self.base.shape, np.bool_)
        ranks = 1 + np.argsort(np.argsort(-self.base, axis=1, kind="stable"), axis=1)
        total = fusion.fuse(self.base, ranks, self.raw, every, every, every).scores
        high = total >= total.max(axis=1, keepdims=True) - 1e-9
        share: Floats = high[:, 0] / high.sum(axis=1)
        return share


def drawn(side: Side, name: str, count: int) -> ShortLists:
    """Return for each query its best relevant candidate and some hard ones of the base."""
    base, raw, rng = side.base(), side.scores(name), np.random.default_rng(count)
    order = np.argsort(-base, axis=1, kind="stable")[:, :100]
    rows, places = [], []
    for row, near in enumerate(order):
        own = near[side.relevant[row, near]]
        others = near[:HARD][~side.relevant[row, near[:HARD]]]
        if len(own):
            rows.append(row)
            places.append([own[0], *rng.choice(others, count - 1, replace=False)])
    index, asked = np.array(places), np.array(rows)[:, None]
    cluster = asked[:, 0] // 5 if side.direction == "t2i" else asked[:, 0]
    return ShortLists(base[asked, index], raw[asked, index], cluster)


def sugarcrepe(data: Path) -> ShortLists:
    """Return pictures with a caption and a negative."""
    pictures = {each.name: each for each in sorted((data / "coco_cc" / "images").glob("*.jpg"))}
    cases = []
    for path in sorted((data / "sugarcrepe").glob("*.json")):
        for case in json.loads(path.read_text(encoding="utf-8")).values():
            if case["filename"] in pictures:
                cases.append((case["filename"], case["caption"], case["negative_caption"]))
    names = sorted({name for name, _, _ in cases})
    texts = list(dict.fromkeys(text for _, *both in cases for text in both))
    features = ["embedding", "tokens", "token_text", "words"]
    queries = cr.encode("lite", [pictures[each] for each in names])
    gallery = cr.encode("lite", texts, "text", features)
    place = {text: row for row, text in enumerate(texts)}
    index = np.array([[place[text] for text in both] for _, *both in cases])
    asked = np.array([names.index(name) for name, _, _ in cases])
    wide = cr.search(queries, gallery, depth=len(texts))
    found = cr.Pipeline(cr.Stage("filip", fusion=cr.Replace())).rerank(wide, queries, gallery)
    raw = found.to_similarity()
    base = np.empty(raw.shape)
    np.put_along_axis(base, wide.index, np.asarray(wide.scores), axis=1)
    return ShortLists(base[asked[:, None], index], raw[asked[:, None], index], asked)


def fusions(given: cr.Statistics, weight: float) -> dict[str, cr.Fusion]:
    """Return what is tried."""
    return {
        DEFAULT: cr.WeightedSum(weight),
        "range of the row": cr.WeightedSum(weight, normalise="minmax"),
        "softmax of the row": cr.WeightedSum(weight, normalise="softmax"),
        "ranks of the row": cr.WeightedSum(weight, normalise="rank"),
        "as they are": cr.WeightedSum(weight, normalise="none"),
        "z-scores of the run": cr.WeightedSum(weight, statistics="run"),
        "z-scores given by val": cr.WeightedSum(weight, statistics=given),
        "RRF": cr.RRF(),
        "the stage alone": cr.Replace(),
    }


def rows(test: Mapping[str, ShortLists], val: Mapping[str, ShortLists]) -> list[str]:
    """Return a table: the share of lists whose first is right, by weight 1 and by val's weight."""
    names = list(test)
    lines = [
        f"| | {' | '.join(f'{name} | p' for name in names)} | weight by val: {' | '.join(names)} |",
        "|---" * (3 * len(names) + 1) + "|",
    ]
    one = {
        name: {
            way: lists.right(fusion) for way, fusion in fusions(val[name].statistics(), 1.0).items()
        }
        for name, lists in test.items()
    }
    for way in next(iter(one.values())):
        told, tuned = [], []
        for name, lists in test.items():
            right = one[name]
            p = ""
            if way != DEFAULT:
                p = f"{p_value(right[way] - right[DEFAULT], lists.cluster):.4f}"
            told.append(f"{100 * right[way].mean():.1f} | {p}")
            given = val[name].statistics()
            weight = max(
                WEIGHTS, key=lambda w: float(val[name].right(fusions(given, w)[way]).mean())
            )
            found = lists.right(fusions(given, weight)[way]).mean()
            own = "" if way in ("RRF", "the stage alone") else f" ({weight:g})"
            tuned.append(f"{100 * found:.1f}{own}")
        lines.append(f"| {way} | {' | '.join(told)} | {' | '.join(tuned)} |")
    return lines


def switches(lists: Mapping[str, ShortLists], given: Mapping[str, cr.Statistics]) -> list[str]:
    """Return how many lists change their first place between weight 0.95 and 1.05."""
    lines = [f"| | {' | '.join(lists)} |", "|---" * (len(lists) + 1) + "|"]
    for way in (DEFAULT, "range of the row", "as they are", "z-scores given by val"):
        told = []
        for name, each in lists.items():
            low, high = (each.right(fusions(given[name], w)[way]) for w in (0.95, 1.05))
            told.append(f"{100 * float((low != high).mean()):.1f} %")
        lines.append(f"| {way} | {' | '.join(told)} |")
    return lines


def p_value(differences: Floats, cluster: NDArray[np.int64]) -> float:
    own = np.unique(cluster, return_inverse=True)[1]
    sums = np.asarray(np.bincount(own, differences), np.float64)
    return float(randomisation_test(sums[None])[0])


def written(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    lines = [
        "# Short lists: how two scores should be added up",
        "",
        "Made by `python research/short_lists.py`. Lists of lite's cosine and filip's score: what",
        f"somebody wrote, among others drawn from the base's first {HARD}. Share of lists, in per",
        "cent, whose first is right (a tie of m counts 1/m), with weight 1 as in the drop-in call,",
        "its p against the default by randomisation over pictures, and with the weight val chose.",
        "*z-scores of the run* look at the other queries; those *given by val* do not.",
    ]
    pairs: ShortLists | None = None
    for direction, title in (("t2i", "a caption and n pictures"), ("i2t", "a picture, n captions")):
        val, test = (
            {
                f"n {count}": drawn(
                    Side(given.features, given.work, split, direction), "filip", count
                )
                for count in COUNTS
            }
            for split in ("val", "test")
        )
        lines += ["", f"## Flickr8k, {title}", "", *rows(test, val)]
        statistics = {name: each.statistics() for name, each in val.items()}
        lines += ["", "First places that change between weight 0.95 and 1.05:", ""]
        lines += switches(test, statistics)
        print(direction, flush=True)
        pairs = val["n 2"]
    negatives = sugarcrepe(given.data)
    assert pairs is not None
    lines += [
        "",
        f"## SugarCrepe, a picture and two captions ({len(negatives.base)} cases)",
        "",
        "Statistics and weight are those of Flickr8k's pictures with two captions, on val.",
        "",
        *rows({"SugarCrepe": negatives}, {"SugarCrepe": pairs}),
        "",
        "First places that change between weight 0.95 and 1.05:",
        "",
        *switches({"SugarCrepe": negatives}, {"SugarCrepe": pairs.statistics()}),
    ]
    written(given.output, lines)


if __name__ == "__main__":
    main()
