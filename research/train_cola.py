"""Train the reranker ``cola`` on the Flickr8k train split, lightly: minutes of one core.

    python research/train_cola.py --features FEATURES -o out/cola [--steps 2000] [--swaps]

FEATURES holds ``train``, with the collections ``images``, ``regions`` and ``texts`` of ``lite``.
Half of each batch are near pictures of the other half, by their embeddings; every picture is scored
with every caption of the batch (InfoNCE, both directions).  ``--swaps`` adds captions whose
attributes, objects or ends are exchanged, which a picture must not take for its own.  What a step
sees depends on seed and step alone, so the same command goes on where it was killed, to the same
weights.  Writes ``cola.safetensors``.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import crossrank as cr
from crossrank.plugin.files import atomic_binary
from crossrank_cola import FILE, MMAdapter, Sizes
from crossrank_graphs import edits, parse

CAPTIONS = 5
CELLS = 25
"""Of a picture's 81 that a step sees."""
WORDS = 20
NEAR = 24
"""A seed's companion is one of so many nearest pictures."""
KINDS = ("swap_attributes", "swap_objects", "swap_ends")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How it is trained; what is fixed here decides the weights."""

    steps: int
    batch: int = 16
    rate: float = 1e-3
    decay: float = 0.05
    dropout: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Data:
    """The train split.

    Parameters
    ----------
    cells, words
        Ragged, frozen.
    near
        ``[N, NEAR]`` the nearest other pictures.
    swapped
        The words of swapped captions, and per caption the place of its own; −1 for none.
    """

    cells: cr.Ragged
    words: cr.Ragged
    near: NDArray[np.int64]
    swapped: cr.Ragged | None
    of_caption: NDArray[np.int64]
    encoder: str


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    arguments.add_argument("--steps", type=int, default=2000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--swaps", action="store_true")
    given = arguments.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = read(given.features / "train", given.output, given.swaps)
    recipe = Recipe(given.steps, seed=given.seed)
    network = fit(data, recipe, given.output / "checkpoint.pt")
    path = given.output / "cola.safetensors"
    FILE.save(network, network.sizes, path, half=True)
    print(f"{path}: {path.stat().st_size:,} bytes")


def read(folder: Path, output: Path, swaps: bool) -> Data:
    """Open the split, and make the swapped captions if they are asked for."""
    images, texts = (cr.Collection.open(folder / name) for name in ("images", "texts"))
    cells: cr.Ragged = cr.Collection.open(folder / "regions")["regions"]
    embedding = torch.tensor(np.asarray(images["embedding"], np.float32))
    similar = embedding @ embedding.T
    similar.fill_diagonal_(-1)
    near = similar.topk(min(NEAR, len(images) - 1), dim=1).indices.numpy()
    of_caption = np.full(len(texts), -1)
    swapped = None
    if swaps:
        made = output / "swapped"
        if not made.is_dir():
            make_swaps(texts, made)
        collection = cr.Collection.open(made)
        swapped = collection["words"]
        of_caption[np.array([int(id) for id in collection.ids], np.int64)] = np.arange(
            len(collection)
        )
    return Data(cells, texts["words"], near, swapped, of_caption, str(images.encoder))


def make_swaps(texts: cr.Collection, folder: Path) -> None:
    """Encode the first swap of every caption that has one."""
    items = []
    for row, graph in enumerate(parse([str(text) for text in texts["text"]])):
        for edit in edits(graph, KINDS):
            items.append(cr.Item(str(row), edit.text))
            break
    cr.encode("lite", items, modality="text", features=("words",), out=folder)


def fit(data: Data, recipe: Recipe, checkpoint: Path) -> MMAdapter:
    """Train, from the checkpoint if there is one of this recipe."""
    torch.manual_seed(recipe.seed)
    sizes = Sizes(cell=data.cells.trailing[0], word=data.words.trailing[0], encoder=data.encoder)
    network = MMAdapter(sizes, recipe.dropout)
    scale = nn.Parameter(torch.tensor(math.log(5.0)))
    parameters = [*network.parameters(), scale]
    optimiser = torch.optim.AdamW(parameters, recipe.rate, weight_decay=recipe.decay)
    start = 0
    if checkpoint.is_file():
        saved: Mapping[str, Any] = torch.load(checkpoint, weights_only=True)
        if saved["recipe"] != repr(recipe):
            raise SystemExit(f"{checkpoint} is of {saved['recipe']}; take another folder")
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        scale.data.copy_(saved["scale"])
        start = int(saved["step"])
    began, total = time.process_time(), 0.0
    network.train()
    for step in range(start, recipe.steps):
        torch.manual_seed(recipe.seed * 1_000_003 + step)
        rate = recipe.rate * min(1.0, (step + 1) / (0.1 * recipe.steps))
        rate *= 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = loss_of(network, scale, data, recipe, step)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        total += float(loss.detach())
        if (step + 1) % 100 == 0 or step + 1 == recipe.steps:
            spent = time.process_time() - began
            print(f"step {step + 1} loss {total / 100:.3f} {spent:.0f} s of one core", flush=True)
            total = 0.0
            with atomic_binary(checkpoint) as file:
                torch.save(
                    {
                        "recipe": repr(recipe),
                        "step": step + 1,
                        "network": network.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "scale": scale.data,
                    },
                    file,
                )
    return network.eval()


def loss_of(network: MMAdapter, scale: Tensor, data: Data, recipe: Recipe, step: int) -> Tensor:
    """Return InfoNCE of one batch, both directions; swapped captions are more columns."""
    draw = np.random.default_rng([recipe.seed, step])
    seeds = draw.choice(len(data.near), recipe.batch // 2, replace=False)
    companions = data.near[seeds, draw.integers(data.near.shape[1], size=len(seeds))]
    pictures = np.unique(np.concatenate([seeds, companions]))
    captions = CAPTIONS * pictures + draw.integers(CAPTIONS, size=len(pictures))
    cells = torch.from_numpy(np.stack([some_cells(data.cells[int(row)], draw) for row in pictures]))
    seen = network.cells(cells)
    texts = [np.asarray(data.words[int(row)], np.float32)[:WORDS] for row in captions]
    if data.swapped is not None:
        places = data.of_caption[captions]
        texts += [
            np.asarray(data.swapped[int(place)], np.float32)[:WORDS]
            for place in places
            if place >= 0
        ]
    longest = max(map(len, texts))
    padded = np.zeros((len(texts), longest, texts[0].shape[1]), np.float32)
    own = np.zeros((len(texts), longest), bool)
    for row, words in enumerate(texts):
        padded[row, : len(words)] = words
        own[row, : len(words)] = True
    read = network.words(torch.from_numpy(padded))
    rows = torch.arange(len(pictures)).repeat_interleave(len(texts))
    columns = torch.arange(len(texts)).repeat(len(pictures))
    everywhere = torch.ones((len(rows), cells.shape[1]), dtype=torch.bool)
    scores = network(seen[rows], read[columns], everywhere, torch.from_numpy(own)[columns])
    logits = scores.view(len(pictures), len(texts)) * scale.exp()
    target = torch.arange(len(pictures))
    of_texts = nn.functional.cross_entropy(logits[:, : len(pictures)].T, target)
    of_pictures = nn.functional.cross_entropy(logits, target)
    return (of_texts + of_pictures) / 2


def some_cells(cells: Any, draw: np.random.Generator) -> NDArray[np.float32]:
    """Return some of a picture's cells."""
    chosen = np.sort(draw.choice(len(cells), min(CELLS, len(cells)), replace=False))
    return np.asarray(cells[chosen], np.float32)


if __name__ == "__main__":
    main()
