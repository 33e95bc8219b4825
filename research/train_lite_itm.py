"""Train the reranker ``lite_itm`` on the Flickr8k train split.

    CROSSRANK_DATA=… python research/train_lite_itm.py encode -o out/lite_itm
    CROSSRANK_DATA=… python research/train_lite_itm.py train  -o out/lite_itm
    CROSSRANK_DATA=… python research/train_lite_itm.py report -o out/lite_itm
    CROSSRANK_DATA=… python research/train_lite_itm.py speed  -o out/lite_itm

`encode` writes the splits as the encoder ``lite`` sees them, and crops of the train pictures.
`train` trains three generations of networks, each taught by the mean of the one before, and writes
the last as ``lite_itm.safetensors``.  `report` chooses the weights on the val split, measures the
test split once, and writes ``figures.json``; raw scores are kept.  `speed` counts pairs per second
on one thread.  Training, encoding and reporting go on where they were when the same command is
given again after a kill.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

import crossrank as cr
from crossrank.evaluation import BothDirections
from crossrank_lite_itm.network import LiteItm, Sizes, save_network
from itm_data import CAPTIONS, SPREAD_FLOOR, crop_shards, digest, measure_spread, open_train
from itm_report import DIRECTIONS, Encoded, choose, report
from itm_training import Recipe, fit
from lite_features import Split, read_split
from training_epochs import write_json

logger = logging.getLogger("train_lite_itm")

OF_PICTURES = ("embedding", "tokens", "token_boxes", "regions")
OF_TEXTS = ("embedding", "tokens", "token_text", "words")


def main() -> None:
    given = arguments()
    logging.basicConfig(format="%(asctime)s %(message)s")
    for name in ("train_lite_itm", "lite_features"):
        logging.getLogger(name).setLevel(logging.INFO)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.step == "encode":
        for name in ("val", "test", "train"):
            encode(read_split(given.data, name, given.limit), given.work)
        crop_shards(read_split(given.data, "train", given.limit), given.views, given.out / "crops")
    elif given.step == "train":
        train(given)
    elif given.step == "report":
        measure(given)
    else:
        speed(given)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("CROSSRANK_DATA")
    parser.add_argument("step", choices=("encode", "train", "report", "speed"))
    parser.add_argument("--data", type=Path, default=data, required=data is None)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/lite_itm"))
    parser.add_argument("--work", type=Path, help="where the encoded splits lie; OUT by default")
    parser.add_argument("--mack", type=Path, help="where mack_flickr8k.py left choice and banks")
    parser.add_argument("--teachers", type=int, default=3, help="trained first, without a teacher")
    parser.add_argument("--members", type=int, default=3, help="taught by them")
    parser.add_argument("--last", type=int, default=2, help="taught by these, and averaged")
    parser.add_argument("--last-epochs", type=int, default=36, help="of those")
    parser.add_argument("--sharper", type=float, default=2.0, help="factor of their μ, by val")
    parser.add_argument("--views", type=int, default=5, help="the whole picture and crops of it")
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--batch", type=int, default=Recipe().batch)
    parser.add_argument("--hard-from", type=float, default=Recipe().hard_from)
    parser.add_argument("--dim", type=int, default=Sizes().dim)
    parser.add_argument("--hidden", type=int, default=Sizes().hidden)
    parser.add_argument("--limit", type=int, help="take only so many pictures of each split")
    given = parser.parse_args()
    given.work = given.out if given.work is None else given.work
    return given


def encode(split: Split, work: Path) -> None:
    """Write ``images_<split>`` and ``words_<split>`` where they are missing."""
    pictures = [cr.Item(path.name, image=path) for path in split.pictures]
    captions = [
        cr.Item(f"{split.pictures[row // CAPTIONS].name}#{row % CAPTIONS}", text)
        for row, text in enumerate(split.captions)
    ]
    for what, items, features in (("images", pictures, OF_PICTURES), ("words", captions, OF_TEXTS)):
        out = work / f"{what}_{split.name}"
        if not out.is_dir():
            cr.encode("lite", items, features=features, out=out)


def train(given: argparse.Namespace) -> None:
    """Train three generations, each taught by the mean of the one before; write the last."""
    pictures = cr.Collection.open(given.work / "images_train")
    split = read_split(given.data, "train", given.limit)
    data = open_train(given.work, pictures, crop_shards(split, given.views, given.out / "crops"))
    sizes = Sizes(
        pictures["regions"].trailing[0],
        data.words.trailing[0],
        data.tokens.trailing[0],
        given.dim,
        given.hidden,
        encoder=pictures.encoder or "",
    )
    recipe = Recipe(given.epochs, given.batch, hard_from=given.hard_from)
    start = LiteItm(sizes, recipe.dropout)
    measure_spread(start.regions, pictures["regions"], SPREAD_FLOOR["regions"])
    measure_spread(start.words, data.words, SPREAD_FLOOR["words"])
    common = {name: getattr(given, name) for name in ("teachers", "views", "limit")}
    history: dict[str, Any] = {}

    def trained(name: str, seed: int, epochs: int, teacher: LiteItm | None) -> LiteItm:
        torch.manual_seed(seed)
        network = LiteItm(sizes, recipe.dropout)
        network.regions, network.words = start.regions, start.words
        settings = {"name": name, "seed": seed, **common, **asdict(sizes)}
        if teacher is not None:
            weights = teacher.state_dict().items()
            settings["teacher"] = cr.fingerprint({key: each.numpy() for key, each in weights})
        path = given.out / f"{name}.checkpoint.safetensors"
        own = replace(recipe, epochs=epochs)
        network, history[name] = fit(network, own, data, settings, path, teacher)
        return network

    seed = 0
    networks: list[LiteItm] = []
    for generation, count, epochs in (
        ("teacher", given.teachers, given.epochs),
        ("member", given.members, given.epochs),
        ("last", given.last, given.last_epochs),
    ):
        teacher = joined(networks).eval() if networks else None
        taught = [
            trained(f"{generation}{place}", seed + place, epochs, teacher) for place in range(count)
        ]
        seed, networks = seed + count, taught or networks
    save_network(sharpened(joined(networks), given.sharper), given.out / "lite_itm.safetensors")
    counts = {name: getattr(given, name) for name in ("members", "last", "last_epochs", "sharper")}
    settings = {**common, **counts, **asdict(recipe), "history": history}
    write_json(given.out / "training.json", settings)


def joined(members: list[LiteItm]) -> LiteItm:
    """Return networks of one member each as one network."""
    first = members[0]
    whole = LiteItm(replace(first.sizes, members=len(members)))
    whole.regions.load_state_dict(first.regions.state_dict())
    whole.words.load_state_dict(first.words.state_dict())
    for own, each in zip(whole.members, members, strict=True):
        own.load_state_dict(each.members[0].state_dict())
    return whole


def sharpened(network: LiteItm, factor: float) -> LiteItm:
    """Multiply μ, by which cells choose the words that they look at.

    A step of training shows them nine words at most, a caption has up to thirty: they must look
    more closely than they have learned to.
    """
    for each in network.attentions:
        with torch.no_grad():
            each.log_cell_sharpness.add_(math.log(factor))
    return network


def measure(given: argparse.Namespace) -> None:
    """Choose the weights on val, measure test once."""
    path = given.out / "lite_itm.safetensors"
    splits = {name: open_split(given, name) for name in ("val", "test")}
    chosen = choose(splits["val"], weights=path)
    tables = {name: report(split, chosen, weights=path) for name, split in splits.items()}
    figures = {
        "weights": {"blake2b": digest(path), "bytes": path.stat().st_size},
        "fusion": chosen,
        **{name: flat(table) for name, table in tables.items()},
        "training": json.loads((given.out / "training.json").read_text(encoding="utf-8")),
    }
    write_json(given.out / "figures.json", figures)
    for name, table in tables.items():
        print(f"{name}\n{table}\n")


def speed(given: argparse.Namespace, depth: int = 32) -> None:
    """Print how many pairs of the test split are scored per second, projection included."""
    torch.set_num_threads(1)
    split = open_split(given, "test")
    path = given.out / "lite_itm.safetensors"
    for direction in DIRECTIONS:
        for members in (1, None):
            params = {"weights": path, "members": members}
            stage = cr.Stage("lite_itm", depth, cr.Replace(), params)
            split.base(direction)
            start = time.perf_counter()
            rankings = split.run(direction, stage)
            seconds = time.perf_counter() - start
            pairs = len(rankings.query_ids) * depth
            print(f"{direction}, members {members or 'all'}: {pairs / seconds:,.0f} pairs/s")


def open_split(given: argparse.Namespace, name: str) -> Encoded:
    """Return a split, with what MACK's script chose on val and the concepts it found."""
    pictures = cr.Collection.open(given.work / f"images_{name}")
    texts = cr.Collection.open(given.work / f"words_{name}")
    kept = given.out / "raw" / name
    if given.mack is None:
        return Encoded(pictures, texts, kept=kept)
    concepts = cr.Collection.open(given.mack / f"texts_{name}")["concepts"]
    chosen = {}
    for direction in DIRECTIONS:
        text = (given.mack / f"choice_{direction}.json").read_text(encoding="utf-8")
        best = json.loads(text)["filip"]
        chosen[direction] = {**best, "bank": given.mack / best["bank"]}
    whole = texts.with_features(concepts=concepts)
    return Encoded(pictures, whole, chosen, kept=kept)


def flat(table: BothDirections) -> dict[str, Any]:
    """Return R@K by direction and system."""
    both = dict(zip(DIRECTIONS, (table.t2i, table.i2t), strict=True))
    return {
        f"{direction} {system} {name}": round(each[system][name], 2)
        for direction, each in both.items()
        for system in each.names
        for name in ("R@1", "R@5", "R@10")
    }


if __name__ == "__main__":
    main()
