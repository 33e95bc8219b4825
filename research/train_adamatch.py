r"""Train the reranker ``adamatch`` on the Flickr8k train split, with a control, and report it.

    python research/train_adamatch.py train --features FEATURES -o out/adamatch --seeds 0 1 2
    python research/train_adamatch.py report --features FEATURES -o out/adamatch

FEATURES holds ``train``, ``val`` and ``test``, each with the collections ``images`` and ``texts``
of ``lite``, and ``regions`` for ``--cells regions``.  Networks over ``tokens`` add to these; those
over ``regions``, and raw ``words``, begin from nothing.  Each seed trains two networks from the
same start over the same batches: ``adaptive``, whose boxes move, and ``fixed``, whose boxes stay as
they start.  What was killed goes on from its last epoch with the same command.  ``report`` chooses
the weights of the fusion on val, measures test once, and writes ``figures.json`` and ``tables.md``.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import crossrank as cr
from adamatch_report import report
from adamatch_training import Recipe, TrainPairs, fit
from crossrank_adamatch.grids import grid_of_boxes
from crossrank_adamatch.network import AdaMatch, Sizes, save_network
from first_hundred import BEFORE

KINDS = ("adaptive", "fixed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("train", "report"))
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=KINDS)
    parser.add_argument("--cells", choices=("tokens", "regions"), default="tokens")
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--batch", type=int, default=Recipe().batch)
    parser.add_argument("--systems", choices=list(BEFORE), nargs="+", default=list(BEFORE))
    parser.add_argument("--over", choices=("images", "texts"), default=Recipe().over)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    given.output.mkdir(parents=True, exist_ok=True)
    if given.step == "report":
        report(given.features, given.output, given.seeds, given.systems)
        return
    recipe = Recipe(given.epochs, given.batch, over=given.over)
    data, encoder = training_pairs(given.features / "train", given.cells)
    for seed in given.seeds:
        for kind in given.kinds:
            train(data, encoder, given.output, seed, kind, recipe)


def train(
    data: TrainPairs, encoder: str, output: Path, seed: int, kind: str, recipe: Recipe
) -> None:
    """Train one network, and write it with its history."""
    path = output / f"{kind}{seed}.safetensors"
    if path.exists():
        return
    torch.manual_seed(seed)
    cell, word = data.cells.shape[2], data.words.trailing[0]
    of_tokens: dict[str, Any] = {
        "residual": True,
        "dim": cell,
        "cells": "tokens",
        "words": "tokens",
    }
    more = of_tokens if data.name == "tokens" else {}
    sizes = Sizes(cell=cell, word=word, fixed=kind == "fixed", encoder=encoder, **more)
    network = AdaMatch(sizes, recipe.dropout)
    begun = time.process_time()
    settings = {"seed": seed, **asdict(sizes)}
    checkpoint = output / f"{kind}{seed}.checkpoint.safetensors"
    history = fit(network, recipe, data, settings, checkpoint)
    seconds = round(time.process_time() - begun)
    record = {"settings": settings, "recipe": asdict(recipe), "history": history}
    described = json.dumps({**record, "last_run_cpu_seconds": seconds}, indent=1)
    (output / f"{kind}{seed}.json").write_text(described + "\n", encoding="utf-8")
    save_network(network, path)


def training_pairs(folder: Path, name: str) -> tuple[TrainPairs, str]:
    """Open a split with cells of a name, and return the name of its encoder too."""
    collection = cr.Collection.open(folder / ("images" if name == "tokens" else name))
    found, boxes = collection[name], collection["token_boxes"]
    grid = grid_of_boxes(boxes[0])
    if grid is None or len(set(found.lengths.tolist())) > 1:
        raise SystemExit(f"{folder}: the pictures have no grid in common")
    cells = found.flat.reshape(len(found), -1, found.trailing[0])
    texts = cr.Collection.open(folder / "texts")
    words = texts["tokens" if name == "tokens" else "words"]
    return TrainPairs(cells, grid, words, name), str(collection.encoder or "")


if __name__ == "__main__":
    main()
