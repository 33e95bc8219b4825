"""MACK on Flickr8k: banks without Visual Genome, alone and on top of two bases.

    python research/mack_flickr8k.py prepare --data DATA --work WORK
    python research/mack_flickr8k.py banks   --data DATA --work WORK
    python research/mack_flickr8k.py tune    --data DATA --work WORK      # on val
    python research/mack_flickr8k.py test    --data DATA --work WORK      # on test, once
    python research/mack_flickr8k.py alone   --data DATA --work WORK      # on test, without a base

DATA holds ``flickr8k/images``, ``flickr8k/captions.jsonl`` and ``yolox_nano/yolox_nano.onnx``.
`prepare` and `banks` go on where they were stopped.  `tune` writes its choice to
``WORK/choice_t2i.json`` and ``choice_i2t.json``, and `test` reads them.  The figures are in
``docs/mack.md``.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import crossrank as cr
from crossrank.evaluation import BothDirections
from mack_banks import make_banks
from mack_data import Split, embedding_base, label_base, prepare, unranked
from remembered import Remembered

DEPTH = 100
WEIGHTS = {"zscore": (0.2, 0.3, 0.5, 0.7, 1.0, 2.0), "none": (0.15, 0.6)}
FILIP_WEIGHTS = {"zscore": (0.75, 1.25)}
DIRECTIONS = ("t2i", "i2t")
BASES = ("embedding", "labels")
SOME = {"t2i": 10, "i2t": 1}
"""How many of the best regions of a word, or of the best words of a region, are averaged."""


def forms(direction: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what is tried of MACK alone: bank and parameters."""
    some = {"center": True, "k_max": SOME[direction]}
    tried = [("bank_a", {"center": False, "k_max": 1}), ("bank_a", {"center": True, "k_max": 1})]
    banks = ("bank_a", "bank_a_refined", "bank_a_white", "bank_a_white_refined", "bank_b_white")
    tried += [(name, some) for name in banks if (name, some) not in tried]
    sharp = "bank_a_sharp_white"
    return [*tried, (sharp, some), (sharp, some | {"k_max": 5 if direction == "t2i" else 2})]


def mack(bank: Path, fusion: cr.Fusion, depth: int | None = DEPTH, **params: Any) -> cr.Stage:
    return cr.Stage("mack", depth, fusion, {"knowledge": bank, **params})


def run(split: Split, candidates: cr.Candidates, direction: str, *stages: cr.Stage) -> cr.Rankings:
    queries, gallery = split.sides(direction)
    cache = split.work / "cache"
    return cr.Pipeline(stages).rerank(candidates, queries, gallery, cache_folder=cache)


def recalls(split: Split, direction: str, rankings: Any) -> dict[str, float]:
    result = cr.evaluate({"it": rankings}, split.qrels(direction), resamples=0)
    return {name: round(result["it"][name], 2) for name in ("R@1", "R@5", "R@10")}


def alone(split: Split, direction: str, bank: Path, **params: Any) -> cr.Rankings:
    """Rank everything by MACK only."""
    stage = mack(bank, cr.Replace(), None, **params)
    return run(split, unranked(split, direction), direction, stage)


def tune(val: Split, train: Split, direction: str) -> None:
    """Choose bank, k_max, weights and normalisation on val."""
    choice: dict[str, Any] = {}
    tried = []
    for name, params in forms(direction):
        rankings = alone(val, direction, val.work / name, **params)
        got = recalls(val, direction, rankings)
        print(f"val {direction} MACK alone {name} {params}: {got}", flush=True)
        tried.append((sum(got.values()), name, params, rankings))
    _, name, params, rankings = max(tried, key=lambda each: each[0])
    form = {"bank": name, "params": params}
    scores = Remembered(rankings=rankings, stage="mack")
    choice["alone"] = form
    for base in BASES:
        candidates = base_of(base, val, train, direction)
        choice[base] = form | best_weight(val, candidates, direction, scores, WEIGHTS)
    candidates = base_of("embedding", val, train, direction)
    tokens = run(val, candidates, direction, cr.Stage("filip", DEPTH, cr.Replace()))
    by_tokens = Remembered(rankings=tokens, stage="filip")
    with_filip = best_weight(val, candidates, direction, by_tokens, FILIP_WEIGHTS)
    stage = cr.Stage(by_tokens, DEPTH, fusion_of(with_filip))
    found = best_weight(val, candidates, direction, scores, WEIGHTS, stage)
    choice["filip"] = form | found | {"filip": with_filip["weight"]}
    choice_file(val.work, direction).write_text(json.dumps(choice, indent=1))
    print(json.dumps(choice, indent=1))


def choice_file(work: Path, direction: str) -> Path:
    return work / f"choice_{direction}.json"


def base_of(base: str, split: Split, train: Split, direction: str) -> cr.Candidates:
    if base == "embedding":
        return embedding_base(split, direction, 2 * DEPTH)
    return label_base(split, train, direction)


def fusion_of(chosen: dict[str, Any]) -> cr.Fusion:
    return cr.WeightedSum(chosen["weight"], chosen["normalise"])


def best_weight(
    val: Split,
    candidates: cr.Candidates,
    direction: str,
    scores: Remembered,
    weights: Mapping[str, tuple[float, ...]],
    *before: cr.Stage,
) -> dict[str, Any]:
    """Return the weight and normalisation with the highest R@1 + R@5 + R@10."""
    found = []
    for normalise, some in weights.items():
        for weight in some:
            stage = cr.Stage(scores, DEPTH, cr.WeightedSum(weight, normalise))
            got = recalls(val, direction, run(val, candidates, direction, *before, stage))
            found.append((sum(got.values()), weight, normalise, got))
    _, weight, normalise, got = max(found, key=lambda each: each[0])
    name = scores.params.stage
    print(f"val {direction} {name} weight {weight} {normalise}: {got}", flush=True)
    return {"weight": weight, "normalise": normalise}


def test(split: Split, train: Split) -> None:
    """Report on test what was chosen on val, with paired tests."""
    work = split.work
    choices = {each: json.loads(choice_file(work, each).read_text()) for each in DIRECTIONS}
    for base in BASES:
        tables = []
        for direction, choice in choices.items():
            candidates = base_of(base, split, train, direction)
            systems: dict[str, Any] = {"base": candidates}
            stage = tuned(work, choice[base])
            systems["base + mack"] = run(split, candidates, direction, stage)
            if base == "embedding":
                filip = cr.Stage("filip", DEPTH, cr.WeightedSum(choice["filip"]["filip"]))
                systems["base + filip"] = run(split, candidates, direction, filip)
                stages = (filip, tuned(work, choice["filip"]))
                systems["base + filip + mack"] = run(split, candidates, direction, *stages)
            tables.append(cr.evaluate(systems, split.qrels(direction), direction=direction))
        print(f"\n{base}\n{BothDirections(*tables)}", flush=True)


def each_alone(split: Split, direction: str) -> None:
    """Report on test what MACK does without a base, in all forms that were tried on val."""
    for name, params in forms(direction):
        got = recalls(split, direction, alone(split, direction, split.work / name, **params))
        print(f"test {direction} MACK alone {name} {params}: {got}", flush=True)


def tuned(work: Path, chosen: dict[str, Any]) -> cr.Stage:
    return mack(work / chosen["bank"], fusion_of(chosen), **chosen["params"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("prepare", "banks", "tune", "test", "alone"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--direction", choices=DIRECTIONS, action="append", help="for tune, alone")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args.work.mkdir(parents=True, exist_ok=True)
    train, val, test_split = (
        Split.read(name, args.data, args.work) for name in ("train", "val", "test")
    )
    if args.step == "prepare":
        prepare([val, test_split, train])
    elif args.step == "banks":
        make_banks(train)
    elif args.step == "tune":
        for direction in args.direction or DIRECTIONS:
            tune(val, train, direction)
    elif args.step == "alone":
        for direction in args.direction or DIRECTIONS:
            each_alone(test_split, direction)
    else:
        test(test_split, train)


if __name__ == "__main__":
    main()
