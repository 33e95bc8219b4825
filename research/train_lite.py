"""Train the heads of the encoder ``lite`` on the Flickr8k train split.

    CROSSRANK_DATA=… python research/train_lite.py -o out/lite

Caches the frozen features of both towers, trains the embedding pair, then the token pair, tunes the
fusion on the val split, measures the test split once, and writes ``heads.safetensors`` and
``figures.json``. It goes on where it was when the same command is given again after a kill.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import crossrank as cr
import lite_checkpoint as checkpoint
from crossrank_lite.encoder import LiteEncoder
from crossrank_lite.heads import HeadSizes, LiteHeads, save_heads
from crossrank_lite.picture_tower import PictureTower
from crossrank_lite.text_tower import TextTower
from lite_features import (
    CAPTIONS,
    Split,
    load_cells,
    load_meanings,
    load_words,
    measure,
    picture_shards,
    read_split,
    word_shards,
)
from lite_reranking import best_fusion, make_lists, report
from lite_stages import EmbeddingStage, Features, Recipe, TokenStage
from training_epochs import batches_in, grouped, seed_of, train_epoch, write_json

logger = logging.getLogger("train_lite")

SPREAD_FLOOR = {"cells": 0.05, "words": 0.01}


def main() -> None:
    given = arguments()
    logging.basicConfig(format="%(asctime)s %(message)s")
    for name in ("train_lite", "lite_features"):
        logging.getLogger(name).setLevel(logging.INFO)
    given.out.mkdir(parents=True, exist_ok=True)
    splits = {name: read_split(given.data, name, given.limit) for name in ("train", "val", "test")}
    torch.manual_seed(given.seed)
    heads = LiteHeads(HeadSizes())
    train, val = cached_features(splits, heads, given)

    settings = {"seed": given.seed, "views": given.views, "limit": given.limit}
    recipe = Recipe(given.epochs, given.batch, 1e-3, 0.1, 0.05)
    base = EmbeddingStage(heads, recipe.temperature)
    history = {"embedding": fit("embedding", base, recipe, train, val, settings, given.out)}
    recipe = Recipe(given.token_epochs, given.token_batch, 3e-3, 0.1, 0.04)
    tokens = TokenStage(heads, recipe.temperature, base)
    history["tokens"] = fit("tokens", tokens, recipe, train, val, settings, given.out)

    path = given.out / "heads.safetensors"
    save_heads(heads.eval(), path)
    figures = measured(path, splits) | {"settings": settings, "history": history}
    write_json(given.out / "figures.json", figures)
    logger.info("test: %s", figures["test"])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("CROSSRANK_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/lite"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--views", type=int, default=4, help="the whole picture and crops of it")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--token-epochs", type=int, default=24)
    parser.add_argument("--token-batch", type=int, default=256)
    parser.add_argument("--limit", type=int, help="take only so many pictures of each split")
    return parser.parse_args()


def cached_features(
    splits: dict[str, Split], heads: LiteHeads, given: argparse.Namespace
) -> tuple[Features, Features]:
    """Return the features of train and val, and set the heads' mean and spread by train."""
    folder, pictures, texts = given.out / "features", PictureTower(), TextTower()
    cells = {
        name: [
            picture_shards(splits[name], view, folder, pictures)
            for view in range(given.views if name == "train" else 1)
        ]
        for name in ("train", "val")
    }
    words = {name: word_shards(splits[name], folder, texts) for name in ("train", "val")}
    measure(heads.cells, cells["train"][0], "cells", SPREAD_FLOOR["cells"])
    measure(heads.words, words["train"], "words", SPREAD_FLOOR["words"])
    train, val = (
        Features(
            [load_cells(view, heads.cells) for view in cells[name]],
            load_words(words[name], heads.words),
            load_meanings(words[name]),
        )
        for name in ("train", "val")
    )
    return train, val


def fit(
    name: str,
    stage: EmbeddingStage | TokenStage,
    recipe: Recipe,
    train: Features,
    val: Features,
    settings: dict[str, Any],
    out: Path,
) -> list[dict[str, Any]]:
    """Train a stage, from its checkpoint if there is one, and return a record per epoch."""
    optimizer = torch.optim.AdamW(grouped(stage, recipe.decay), lr=recipe.rate)
    done = checkpoint.Progress({**settings, **asdict(recipe)})
    path = out / f"{name}.checkpoint.safetensors"
    checkpoint.restore(path, stage, optimizer, done)
    stage.eval()
    pictures = len(train.cells[0])
    batches_in(pictures, recipe, f"{name}: ")

    def loss_of(rows: torch.Tensor) -> torch.Tensor:
        captions = rows * CAPTIONS + torch.randint(CAPTIONS, (len(rows),))
        return stage.loss(train, rows, captions)

    for epoch in range(len(done.history), recipe.epochs):
        torch.manual_seed(seed_of(settings["seed"], name, epoch))
        stage.train()
        loss = train_epoch(optimizer, recipe, epoch, torch.randperm(pictures), loss_of)
        stage.eval()
        record = {"epoch": epoch, "loss": loss, **stage.figures(val)}
        done.history.append(record)
        checkpoint.save(path, stage, optimizer, done)
        logger.info("%s: %s", name, " ".join(f"{key} {value}" for key, value in record.items()))
    return done.history


def measured(heads: Path, splits: dict[str, Split]) -> dict[str, Any]:
    """Tune the fusion on val and measure test, with the written file and the encoder that ships."""
    encoder = LiteEncoder(heads=heads)
    lists = {name: make_lists(*encoded(encoder, splits[name])) for name in ("val", "test")}
    weight, normalise = best_fusion(lists["val"])
    return {
        "heads": {
            "blake2b": hashlib.blake2b(heads.read_bytes(), digest_size=16).hexdigest(),
            "bytes": heads.stat().st_size,
        },
        "fusion": {"weight": weight, "normalise": normalise, "depth": 100},
        **{name: report(each, weight, normalise) for name, each in lists.items()},
    }


def encoded(encoder: LiteEncoder, split: Split) -> tuple[cr.Collection, cr.Collection]:
    """Return the pictures and the captions of a split as collections."""
    features = ("embedding", "tokens")
    pictures = [cr.Item(path.stem, image=path) for path in split.pictures]
    captions = [cr.Item(str(row), text) for row, text in enumerate(split.captions)]
    return (
        cr.encode(encoder, pictures, features=features, progress=sys.stderr.isatty()),
        cr.encode(encoder, captions, features=features, progress=sys.stderr.isatty()),
    )


if __name__ == "__main__":
    main()
