r"""HOSA on Flickr8k: tune on val, report test, both directions, with and without its terms.

    python research/hosa_flickr8k.py tune --features FOLDER --work out/hosa [--heads HEADS]
    python research/hosa_flickr8k.py test --features FOLDER --work out/hosa [--heads HEADS]

FOLDER holds collections encoded with lite: ``images_val``, ``words_val`` and so on (docs/hosa.md
has the commands).  Scores are computed once and kept in the work folder; what was tuned goes to
``choice.json`` there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from tune_fusion import Stored

DEPTH = 100
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
FUSION_WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
FILIP_WEIGHT = 1.25
"""Tuned on val before, see docs/flickr8k.md."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lists:
    """The base's lists of a split in one direction.

    Parameters
    ----------
    direction
        ``"t2i"`` or ``"i2t"``.
    queries, gallery, candidates
        As the library knows them.
    relevant
        ``[Q, K]`` bool.
    cache
        Where scores are kept.
    """

    direction: str
    queries: cr.Collection
    gallery: cr.Collection
    candidates: cr.Candidates
    relevant: NDArray[np.bool_]
    cache: Path

    @classmethod
    def of(cls, folder: Path, split: str, direction: str, work: Path) -> Lists:
        """Search the base's lists."""
        images, texts = (
            cr.Collection.open(folder / f"{side}_{split}") for side in ("images", "words")
        )
        queries, gallery = (texts, images) if direction == "t2i" else (images, texts)
        candidates = cr.search(queries, gallery, depth=DEPTH)
        pictures = [
            np.array([id.rsplit("#", 1)[0] for id in side.ids]) for side in (queries, gallery)
        ]
        relevant = pictures[0][:, None] == pictures[1][candidates.index]
        return cls(direction, queries, gallery, candidates, relevant, work / f"{split}-{direction}")

    @property
    def base(self) -> Floats:
        """``[Q, K]`` the base's own scores."""
        assert self.candidates.scores is not None
        return self.candidates.scores

    def raw(self, reranker: str, **params: Any) -> Floats:
        """Return ``[Q, K]`` a reranker's raw scores, computed once."""
        path = self.cache / f"{reranker}-{_name(params)}.npy"
        if not path.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            stage = cr.Stage(reranker, depth=DEPTH, fusion=cr.Replace(), params=params)
            rankings = cr.Pipeline(stage).rerank(self.candidates, self.queries, self.gallery)
            found = np.take_along_axis(rankings.to_similarity(), self.candidates.index, axis=1)
            np.save(path, found.astype(np.float32))
        return np.asarray(np.load(path), np.float64)

    def terms(self, fold: int, ridge: float, **more: Any) -> tuple[Floats, Floats]:
        """Return HOSA's local score and its reconstruction, ``[Q, K]`` each."""
        local = self.raw("hosa", beta=0, gamma=0, **more)
        return local, self.raw("hosa", beta=1, gamma=0, fold=fold, ridge=ridge, **more) - local

    def recall(self, scores: Floats) -> tuple[float, ...]:
        """Return R@1, R@5 and R@10 in per cent."""
        order = np.argsort(-scores, axis=1, kind="stable")
        found = np.take_along_axis(self.relevant, order, axis=1)
        return tuple(100 * float(found[:, :cut].any(axis=1).mean()) for cut in (1, 5, 10))

    def rankings(self, scores: Floats) -> cr.Rankings:
        """Return the lists in the order of some scores."""
        table = np.zeros((len(self.queries), len(self.gallery)), np.float32)
        np.put_along_axis(table, self.candidates.index, scores.astype(np.float32), axis=1)
        stage = cr.Stage(Stored(table), fusion=cr.Replace())
        return cr.Pipeline(stage).rerank(self.candidates, self.queries, self.gallery)


def _name(params: dict[str, Any]) -> str:
    """Return what tells some parameters from others; of a file, its content does."""
    plain = {key: each for key, each in params.items() if key != "heads"}
    if "heads" in params:
        plain["heads"] = cr.fingerprint(np.fromfile(params["heads"], np.uint8))[:8]
    return "-".join(f"{key}={each}" for key, each in plain.items())


def zscore(scores: Floats) -> Floats:
    """Return scores with mean 0 and spread 1 in every list."""
    spread = scores.std(axis=1, keepdims=True)
    centred = scores - scores.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.where(spread > 0, spread, 1))


def systems(lists: Lists, choice: Mapping[str, Any], more: dict[str, Any]) -> dict[str, Floats]:
    """Return the scores of every system that is compared, from the weights in `choice`."""
    base, filip = zscore(lists.base), zscore(lists.raw("filip"))
    local, rebuilt = lists.terms(choice["fold"], choice["ridge"], **more)
    beta, gamma = choice["beta"], choice["gamma"]
    found = {
        "base": lists.base,
        "filip alone": filip,
        "hosa: local": local,
        "hosa: local + β": local + choice["beta alone"] * rebuilt,
        "hosa: local + γ": local + choice["gamma alone"] * lists.base,
        "hosa: local + β + γ": local + beta * rebuilt + gamma * lists.base,
        "hosa: β only": rebuilt,
    }
    found["base + hosa, β = 0"] = base + choice["weight local"] * zscore(local)
    fused = zscore(local + choice["beta fused"] * rebuilt)
    found["base + hosa"] = base + choice["weight"] * fused
    found["base + filip"] = base + FILIP_WEIGHT * filip
    third = zscore(found["base + filip"]) + choice["third"] * zscore(
        local + choice["beta third"] * rebuilt
    )
    found["base + filip + hosa"] = third
    return found


def best(lists: Lists, scored: dict[Any, Floats]) -> Any:
    """Return the key with the highest R@1 + ½ R@5 on this split."""

    def quality(key: Any) -> float:
        recalls = lists.recall(scored[key])
        return recalls[0] + recalls[1] / 2

    return max(scored, key=quality)


def tuned(lists: Lists, more: dict[str, Any], settings: list[tuple[int, float]]) -> dict[str, Any]:
    """Choose everything on this split, fold and ridge among `settings`."""
    base, filip = zscore(lists.base), zscore(lists.raw("filip"))
    local = lists.raw("hosa", beta=0, gamma=0, **more)
    alone = {}
    for fold, ridge in settings:
        _, rebuilt = lists.terms(fold, ridge, **more)
        recalls = lists.recall(rebuilt)
        print(lists.direction, fold, ridge, "β only", *(f"{each:.2f}" for each in recalls))
        for beta in WEIGHTS[1:]:
            alone[fold, ridge, beta] = local + beta * rebuilt
    fold, ridge, beta = best(lists, alone)
    _, rebuilt = lists.terms(fold, ridge, **more)
    gamma = best(lists, {w: local + w * lists.base for w in WEIGHTS[1:]})
    both = best(
        lists,
        {
            (b, g): local + b * rebuilt + g * lists.base
            for b, g in product(WEIGHTS[1:], WEIGHTS[1:])
        },
    )
    weight_local = best(lists, {w: base + w * zscore(local) for w in FUSION_WEIGHTS})
    pairs = list(product(WEIGHTS[1:], FUSION_WEIGHTS))
    fused = best(lists, {(b, w): base + w * zscore(local + b * rebuilt) for b, w in pairs})
    second = zscore(base + FILIP_WEIGHT * filip)
    third = best(lists, {(b, w): second + w * zscore(local + b * rebuilt) for b, w in pairs})
    return {
        "fold": fold,
        "ridge": ridge,
        "beta alone": beta,
        "gamma alone": gamma,
        "beta": both[0],
        "gamma": both[1],
        "weight local": weight_local,
        "beta fused": fused[0],
        "weight": fused[1],
        "beta third": third[0],
        "third": third[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("tune", "test"))
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--heads", type=Path, help="trained heads; without them training-free")
    parser.add_argument("--folds", type=int, nargs="+", default=[2, 4], help="t2i: the first alone")
    parser.add_argument("--ridges", type=float, nargs="+", default=[1.0, 10.0, 100.0])
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    more = {} if given.heads is None else {"heads": str(given.heads)}
    kind = "training-free" if given.heads is None else given.heads.stem
    path = given.work / "choice.json"
    choice = json.loads(path.read_text()) if path.exists() else {}
    tables = []
    for direction in ("t2i", "i2t"):
        lists = Lists.of(
            given.features, "val" if given.step == "tune" else "test", direction, given.work
        )
        key = f"{kind} {direction}"
        if given.step == "tune":
            folds = given.folds[:1] if direction == "t2i" else given.folds
            choice[key] = tuned(lists, more, list(product(folds, given.ridges)))
            print(key, choice[key])
        scored = systems(lists, choice[key], more)
        if given.step == "tune":
            for name, scores in scored.items():
                print(f"{name:24}", *(f"{each:6.2f}" for each in lists.recall(scores)))
            continue
        rankings = {name: lists.rankings(scores) for name, scores in scored.items()}
        qrels = lists_qrels(lists)
        for baseline, names in (
            ("base", list(scored)),
            ("base + hosa, β = 0", ["base + hosa, β = 0", "base + hosa"]),
            ("base + filip", ["base + filip", "base + hosa", "base + filip + hosa"]),
            ("hosa: local", [name for name in scored if name.startswith("hosa")]),
            ("hosa: local + γ", ["hosa: local + γ", "hosa: local + β + γ"]),
        ):
            chosen = {baseline: rankings[baseline]} | {name: rankings[name] for name in names}
            tables.append(f"{kind}, {cr.evaluate(chosen, qrels, direction=direction)}")
    if given.step == "tune":
        path.write_text(json.dumps(choice, indent=1) + "\n", encoding="utf-8")
    print("\n\n".join(tables))


def lists_qrels(lists: Lists) -> dict[str, list[str]]:
    """Return per query the relevant candidates."""
    pictures = [id.rsplit("#", 1)[0] for id in lists.gallery.ids]
    of_picture: dict[str, list[str]] = {}
    for id, picture in zip(lists.gallery.ids, pictures, strict=True):
        of_picture.setdefault(picture, []).append(id)
    return {id: of_picture[id.rsplit("#", 1)[0]] for id in lists.queries.ids}


if __name__ == "__main__":
    main()
