r"""What the bank that ``mack`` ships buys on Flickr8k, the rows of docs/mack.md.

    python research/mack_shipped.py --features FEATURES [--knowledge BANK]

Weights are chosen on ``val`` by R@1, ``test`` is measured once; FEATURES as for `lite_bank.py`.
BANK is another bank in the place of the one that ships, asked as that one is.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import bootstrap_interval, randomisation_test

WEIGHTS = (0.2, 0.3, 0.5, 0.7, 1.0, 2.0)
DEPTH = 100
FILIP = cr.Stage("filip", fusion=cr.WeightedSum(1.25))
CUTS = (1, 5, 10)


class Split:
    """One split in one direction, its texts parsed once."""

    def __init__(self, folder: Path, direction: str, cache: Path) -> None:
        self.cache = cache
        images = cr.Collection.open(folder / "images")
        images = images.with_features(regions=cr.Collection.open(folder / "regions")["regions"])
        texts = cr.Collection.open(folder / "texts")
        self.sides = (texts, images) if direction == "t2i" else (images, texts)
        self.lists = cr.search(*self.sides, depth=DEPTH)
        self.whole = cr.search(*self.sides, depth=len(self.sides[1]))
        owners = {id: id.rpartition("#")[0] for id in texts.ids}
        self.right = (
            {text: {owner} for text, owner in owners.items()}
            if direction == "t2i"
            else {id: {text for text, owner in owners.items() if owner == id} for id in images.ids}
        )
        asked = list(owners.values()) if direction == "t2i" else list(images.ids)
        self.clusters: NDArray[np.int64] = np.unique(asked, return_inverse=True)[1].astype(np.int64)

    def hits(self, stages: Sequence[cr.Stage], whole: bool = False) -> NDArray[np.float64]:
        """Return ``[queries, cuts]``, in percent, whether a right one is among the first."""
        lists = self.whole if whole else self.lists
        ranked = cr.Pipeline(stages).rerank(
            lists, *self.sides, top_k=max(CUTS), cache_folder=self.cache
        )
        return np.array(
            [
                [100.0 * bool(self.right[query] & set(ranking.ids[:cut])) for cut in CUTS]
                for query, ranking in ranked.items()
            ]
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--directions", nargs="+", default=["t2i", "i2t"])
    parser.add_argument("--knowledge", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        report(given.features, Path(cache), given.directions, given.knowledge)


def report(
    features: Path, cache: Path, directions: Sequence[str], knowledge: Path | None = None
) -> None:
    print("| | weight | R@1/5/10 | gain in R@1 | p |\n|---|---|---|---|---|")
    for direction in directions:
        val, test = (Split(features / split, direction, cache) for split in ("val", "test"))
        base = cr.Stage("dsl", fusion=cr.WeightedSum(0.0))
        params = asked_as_shipped(knowledge, direction)

        before = test.hits([base])
        row(f"{direction}: base", "", before)
        row(
            f"{direction}: mack alone",
            "",
            test.hits([cr.Stage("mack", fusion=cr.Replace(), params=params)], whole=True),
        )
        row(f"{direction}: + filip", "1.25", test.hits([FILIP]), before, test.clusters)
        for name, others in (("+ mack", []), ("+ filip + mack", [FILIP])):
            weight = max(
                WEIGHTS,
                key=lambda w: val.hits([*others, mack(w, params)])[:, 0].mean(),
            )
            found = test.hits([*others, mack(weight, params)])
            row(f"{direction}: {name}", f"{weight:g}", found, before, test.clusters)


def mack(weight: float, params: dict[str, Any]) -> cr.Stage:
    return cr.Stage("mack", fusion=cr.WeightedSum(weight), params=params)


def asked_as_shipped(knowledge: Path | None, direction: str) -> dict[str, Any]:
    """Return the parameters of the bank that ships, which are its defaults, for another."""
    if knowledge is None:
        return {}
    return {"knowledge": knowledge, "center": True, "k_max": 10 if direction == "t2i" else 1}


def row(
    name: str,
    weight: str,
    found: NDArray[np.float64],
    before: NDArray[np.float64] | None = None,
    clusters: NDArray[np.int64] | None = None,
) -> None:
    cells = [name, weight, " / ".join(f"{each:.2f}" for each in found.mean(axis=0))]
    if before is not None and clusters is not None:
        change = found[:, 0] - before[:, 0]
        sums = np.bincount(clusters, weights=change)[None].astype(np.float64)
        low, high = bootstrap_interval(sums, np.bincount(clusters).astype(np.float64))
        p = float(randomisation_test(sums)[0])
        cells += [f"{change.mean():+.2f} ({low[0]:+.2f} … {high[0]:+.2f})", f"{p:.4f}"]
    else:
        cells += ["", ""]
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
