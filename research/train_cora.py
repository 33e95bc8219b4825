r"""Train the reranker ``cora`` on the Flickr8k train split.

    CROSSRANK_DATA=… python research/train_cora.py --features FEATURES -o out/cora --changed

FEATURES holds ``train``, ``val`` and ``test``, each with the collections ``images``, ``regions``
and ``texts`` of ``lite``.  ``--changed`` adds false captions of the same words as negatives, which
the paper does not have; ``--views`` takes crops of the pictures, too.  What was killed goes on from
its last epoch with the same command.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import crossrank as cr
from cora_data import TrainingSet
from cora_training import Recipe, fit
from crossrank.plugin.files import atomic_file
from crossrank_cora.network import Cora, Sizes, save_network
from crossrank_cora.packed import Phrases, pack
from crossrank_cora.phrases import phrase_vectors
from crossrank_graphs import Graph, edits, parse
from itm_data import CropView, crop_shards
from lite_features import read_split

RECIPE = Recipe(
    epochs=12,
    batch=64,
    captions=5,
    rate=2e-3,
    tau=0.07,
    triplet=1.0,
    specificity=1.0,
    margin=0.2,
)
"""Small batches with all captions learned most for their time in trials on val; the paper's
temperature of .01 and weights of 4 and 11 learn three times as slowly here.
"""
DIM = 384
SHOWN = 500
"""Pictures of val that decide which epoch is kept."""
KINDS = ("swap_attributes", "swap_objects", "swap_ends")

logger = logging.getLogger("train_cora")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--changed", action="store_true")
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    parser.add_argument("--batch", type=int, default=RECIPE.batch)
    parser.add_argument("--captions", type=int, default=RECIPE.captions)
    parser.add_argument("--dim", type=int, default=DIM)
    parser.add_argument("--views", type=int, default=1, help="the whole picture and crops of it")
    pictures = os.environ.get("CROSSRANK_DATA")
    parser.add_argument("--data", type=Path, default=pictures, help="of the pictures, for crops")
    given = parser.parse_args()
    if given.views > 1 and given.data is None:
        parser.error("--views needs the pictures: --data DIR, or the variable CROSSRANK_DATA")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    given.output.mkdir(parents=True, exist_ok=True)
    recipe = replace(RECIPE, epochs=given.epochs, batch=given.batch, captions=given.captions)
    crops: list[CropView] = []
    if given.views > 1:
        split = read_split(given.data, "train")
        crops = [CropView(each) for each in crop_shards(split, given.views, given.output / "crops")]
    data = training_set(given.features, given.output, given.changed, crops)
    settings = {"changed": given.changed, "dim": given.dim, "views": given.views}
    for seed in given.seeds:
        train(data, given.features, given.output, {"seed": seed, **settings}, recipe)


def train(
    data: TrainingSet, features: Path, output: Path, settings: dict[str, Any], recipe: Recipe
) -> None:
    """Train one network, and write it with its history."""
    name = f"{'changed' if settings['changed'] else 'plain'}{settings['seed']}"
    torch.manual_seed(settings["seed"])
    encoder = str(cr.Collection.open(features / "train" / "regions").encoder or "")
    network = Cora(Sizes(dim=settings["dim"], encoder=encoder), recipe.dropout)
    set_scales(network, data)
    checkpoint = output / f"{name}.checkpoint.safetensors"
    measure = Validation(features, output)
    best, history = fit(network, recipe, data, settings, checkpoint, measure)
    save_network(best, output / f"{name}.safetensors")
    record = {"settings": settings, "recipe": asdict(recipe), "history": history}
    (output / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def set_scales(network: Cora, data: TrainingSet) -> None:
    """Standardise both sides by a sample of the training split."""
    cells = np.asarray(data.cells[::7, ::9], np.float32).reshape(-1, data.cells.shape[2])
    for part, rows, least in (
        (network.of_regions, cells, 0.05),
        (network.of_phrases, data.vectors, 0.01),
    ):
        part.mean.copy_(torch.from_numpy(rows.mean(axis=0)))
        part.spread.copy_(torch.from_numpy(rows.std(axis=0) + least))


def training_set(
    features: Path, output: Path, changed: bool, crops: Sequence[CropView] = ()
) -> TrainingSet:
    """Read the train split; false captions are made of its own by the edits of their graphs."""

    def change(graph: Graph) -> Sequence[Graph]:
        return [edit.graph for edit in edits(graph, KINDS)]

    return TrainingSet.of(
        cells_of(features / "train"),
        graphs_of(features, output, "train"),
        change if changed else None,
        crops,
    )


def cells_of(folder: Path) -> Any:
    """Return ``[N, R, region]`` the raw cells of a split, left on disk."""
    regions = cr.Collection.open(folder / "regions")["regions"]
    return regions.flat.reshape(len(regions), -1, regions.trailing[0])


def graphs_of(features: Path, output: Path, split: str) -> list[Graph]:
    """Return the graphs of a split's captions, parsed once."""
    path = output / f"graphs.{split}.jsonl"
    if not path.exists():
        texts = [str(text) for text in cr.Collection.open(features / split / "texts")["text"]]
        logger.info("parsing %d captions", len(texts))
        lines = [json.dumps(graph.to_dict(), ensure_ascii=False) for graph in parse(texts)]
        with atomic_file(path) as kept:
            kept.write("\n".join(lines) + "\n")
    with path.open(encoding="utf-8") as file:
        return [Graph.from_dict(json.loads(line)) for line in file]


class Validation:
    """Recall of a network alone, on the first pictures of val."""

    def __init__(self, features: Path, output: Path) -> None:
        self.cells = cells_of(features / "val")[:SHOWN]
        phrases = Phrases()
        self.graphs = pack(graphs_of(features, output, "val")[: 5 * len(self.cells)], phrases)
        self.vectors = torch.from_numpy(phrase_vectors(list(phrases.rows)))

    @torch.inference_mode()
    def __call__(self, network: Cora) -> dict[str, float]:
        """Return the sum of six recalls, which decides which epoch is kept."""
        parts = [
            network.see(
                torch.from_numpy(part.astype(np.float32)), torch.full((len(part),), part.shape[1])
            )
            for part in np.array_split(self.cells, max(1, len(self.cells) // 50))
        ]
        captions = network.read(self.graphs, self.vectors)[1]
        similarity = (torch.cat(parts) @ captions.T).numpy()
        both = cr.evaluate_matrix(similarity, captions_per_image=5, resamples=0)
        return {"rsum": round(float(both.rsum["similarity"]), 2)}


if __name__ == "__main__":
    main()
