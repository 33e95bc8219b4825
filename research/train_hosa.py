r"""Train heads for HOSA over the frozen features of Flickr8k: hinges, with the reconstruction.

    python research/train_hosa.py --images FOLDER/images_train --texts FOLDER/words_train \
        -o out/hosa

The collections come from ``crossrank encode`` (docs/hosa.md); a text's id is that of its picture,
``#`` and a number.  Writes ``heads.safetensors``, which a stage takes as ``params={"heads": …}``,
and a checkpoint after every epoch: the same command goes on after a kill, and ends with the same
weights as without one.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import crossrank as cr
import lite_checkpoint as checkpoint
from crossrank_hosa.heads import HeadSizes, HosaHeads, TokenHead, save_heads
from crossrank_hosa.loss import HosaLoss

logger = logging.getLogger("train_hosa")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the heads are trained.

    Parameters
    ----------
    seed
        Other seeds give other weights.
    epochs, batch
        Passes over the pictures, and pictures per batch, each with one of its captions.
    rate, decay, dropout
        Of AdamW, and of the perceptrons; the rate falls linearly to 0.
    regions
        How many of a picture's rows a step sees, drawn at random.
    margin, weight, fold, ridge
        See `crossrank_hosa.loss.HosaLoss`.
    """

    seed: int = 0
    epochs: int = 4
    batch: int = 64
    rate: float = 5e-4
    decay: float = 0.05
    dropout: float = 0.1
    regions: int = 24
    margin: float = 0.2
    weight: float = 0.1
    fold: int = 2
    ridge: float = 0.1


@dataclass(frozen=True, slots=True)
class Pairs:
    """Frozen features of pictures and their captions.

    Parameters
    ----------
    images, texts
        One ragged row set per item.
    captions
        Per picture the rows of its captions.
    """

    images: cr.Ragged
    texts: cr.Ragged
    captions: list[list[int]]

    @classmethod
    def of(
        cls, images: cr.Collection, texts: cr.Collection, image_feature: str, text_feature: str
    ) -> Pairs:
        """Match captions and pictures by their ids."""
        captions: dict[str, list[int]] = {id: [] for id in images.ids}
        for row, id in enumerate(texts.ids):
            picture = id.rsplit("#", 1)[0]
            if picture not in captions:
                raise SystemExit(f"the text {id!r} belongs to no picture; its id must start so")
            captions[picture].append(row)
        bare = next((id for id, rows in captions.items() if not rows), None)
        if bare is not None:
            raise SystemExit(f"the picture {bare!r} has no caption; leave it out")
        return cls(images[image_feature], texts[text_feature], list(captions.values()))

    def batch(self, pictures: Tensor, regions: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows ``[B, R, D]``, words ``[B, L, D]`` and their mask, by torch's chances."""
        seen = []
        for picture in pictures.tolist():
            rows = torch.from_numpy(np.array(self.images[picture], np.float32))
            chosen = torch.randint(len(rows), (regions,))
            if len(rows) >= regions:
                chosen = torch.randperm(len(rows))[:regions]
            seen.append(rows[chosen])
        drawn = torch.rand(len(pictures)).tolist()
        owned = [self.captions[picture] for picture in pictures.tolist()]
        texts = [
            np.array(self.texts[rows[int(chance * len(rows))]], np.float32)
            for rows, chance in zip(owned, drawn, strict=True)
        ]
        read = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(t) for t in texts], True)
        lengths = torch.tensor([len(text) for text in texts])
        return torch.stack(seen), read, torch.arange(read.shape[1]) < lengths[:, None]


def train(pairs: Pairs, sizes: HeadSizes, recipe: Recipe, out: Path) -> HosaHeads:
    """Train heads, from the checkpoint in `out` if there is one, and write them there."""
    torch.manual_seed(recipe.seed)
    heads = HosaHeads(sizes, recipe.dropout)
    for head, rows, feature in (
        (heads.image, pairs.images, sizes.image_feature),
        (heads.text, pairs.texts, sizes.text_feature),
    ):
        if feature != "tokens":
            standardise(head, rows)
    loss_of = HosaLoss(recipe.margin, recipe.weight, recipe.fold, recipe.ridge)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    done = checkpoint.Progress({**asdict(recipe), **asdict(sizes)})
    path = out / "hosa.checkpoint.safetensors"
    checkpoint.restore(path, heads, optimizer, done)
    batches = len(pairs.captions) // recipe.batch
    if not batches:
        raise SystemExit(f"{len(pairs.captions)} pictures do not fill a batch of {recipe.batch}")
    steps = recipe.epochs * batches
    for epoch in range(len(done.history), recipe.epochs):
        torch.manual_seed(seed_of(recipe.seed, epoch))
        heads.train()
        order = torch.randperm(len(pairs.captions))[: batches * recipe.batch]
        losses = []
        for step, pictures in enumerate(order.view(batches, -1), start=epoch * batches):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * (1 - step / steps)
            seen, words, mask = pairs.batch(pictures, recipe.regions)
            loss = loss_of(heads.image(seen), heads.text(words), mask)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.item())
        done.history.append({"epoch": epoch, "loss": round(float(np.mean(losses)), 4)})
        checkpoint.save(path, heads, optimizer, done)
        logger.info("%s", done.history[-1])
    save_heads(heads, out / "heads.safetensors")
    return heads


def standardise(head: TokenHead, rows: cr.Ragged) -> None:
    """Set mean and spread of raw features from (at most) a hundred thousand rows."""
    step = max(1, len(rows.flat) // 100_000)
    sample = np.array(rows.flat[::step], np.float64)
    head.mean.copy_(torch.from_numpy(sample.mean(axis=0)))
    head.spread.copy_(torch.from_numpy(sample.std(axis=0) + 0.05))


def seed_of(seed: int, epoch: int) -> int:
    """Return a seed that differs for every epoch."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {epoch}".encode(), digest_size=7).digest())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/hosa"))
    parser.add_argument("--image-feature", default="tokens", choices=("tokens", "regions"))
    parser.add_argument("--text-feature", default="tokens", choices=("tokens", "words"))
    parser.add_argument("--token", type=int, help="size of a trained token; by default as before")
    parser.add_argument("--hidden", type=int, default=192)
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    given: dict[str, Any] = vars(parser.parse_args())
    logging.basicConfig(format="%(asctime)s %(message)s")
    logger.setLevel(logging.INFO)
    given["out"].mkdir(parents=True, exist_ok=True)
    images, texts = (cr.Collection.open(given[side]) for side in ("images", "texts"))
    pairs = Pairs.of(images, texts, given["image_feature"], given["text_feature"])
    sizes = HeadSizes(
        given["image_feature"],
        given["text_feature"],
        pairs.images.trailing[0],
        pairs.texts.trailing[0],
        given["token"] if given["token"] is not None else int(images["tokens"].trailing[0]),
        given["hidden"],
    )
    train(pairs, sizes, Recipe(**{name: given[name] for name in asdict(Recipe())}), given["out"])


if __name__ == "__main__":
    main()
