"""Training AdaMatch over frozen features: the loss of a batch, and epochs that survive a kill."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import crossrank as cr
import lite_checkpoint as checkpoint
from crossrank_adamatch.losses import adamatch_loss, adamatch_loss_over_texts
from crossrank_adamatch.network import AdaMatch
from crossrank_filip.loss import INITIAL_TEMPERATURE, MINIMUM_TEMPERATURE, late_interaction
from training_epochs import batches_in, grouped, train_epoch

LOSSES = {"images": adamatch_loss, "texts": adamatch_loss_over_texts}

logger = logging.getLogger("train_adamatch")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How AdaMatch is trained.

    Parameters
    ----------
    epochs, batch
        Passes over the pictures, and pictures per batch, each with one of its captions.
    patches
        How many of a picture's patches a step compares, drawn by chance: it saves time and
        regularises.
    rate, decay
        Of AdamW; the rate rises over the first tenth of the steps and falls along a cosine.
    dropout
        Of the heads.
    over
        What the second softmax runs over: ``"images"``, or ``"texts"`` as the authors have it.
    """

    epochs: int = 3
    batch: int = 128
    patches: int = 24
    rate: float = 1e-3
    decay: float = 0.05
    dropout: float = 0.2
    over: str = "images"


@dataclass(frozen=True, slots=True)
class TrainPairs:
    """The features of a split; several captions of each picture, picture after picture.

    Parameters
    ----------
    cells
        ``[N, H·W, D]`` raw cells, left on disk.
    grid
        H and W.
    words
        Of the captions.
    name
        What the cells are: ``"regions"``, or ``"tokens"``.
    """

    cells: NDArray[Any]
    grid: tuple[int, int]
    words: cr.Ragged
    name: str = "regions"

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def captions(self) -> int:
        """How many a picture has."""
        return len(self.words) // len(self.cells)

    def maps_of(self, pictures: Tensor) -> Tensor:
        """Return ``[B, H, W, D]``."""
        maps = np.asarray(self.cells[pictures.numpy()], np.float32)
        return torch.from_numpy(maps).view(len(maps), *self.grid, -1)

    def words_of(self, captions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the words ``[n, D]`` of captions end to end, and ``[B, L]`` where words stand."""
        taken = self.words.take(captions.numpy())
        lengths = torch.from_numpy(taken.lengths)
        places = torch.arange(int(lengths.max())) < lengths[:, None]
        return torch.from_numpy(np.asarray(taken.flat, np.float32)), places


class Stage(nn.Module):
    """The network in training, and τ, which is learned through its logarithm."""

    def __init__(self, network: AdaMatch, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.log_temperature = nn.Parameter(torch.tensor(math.log(INITIAL_TEMPERATURE)))
        self.recipe = recipe

    def loss(self, data: TrainPairs, pictures: Tensor) -> Tensor:
        """Return the loss of a batch of pictures, each with one of its captions."""
        with torch.no_grad():
            self.log_temperature.clamp_(min=math.log(MINIMUM_TEMPERATURE))
        chosen = torch.randperm(data.grid[0] * data.grid[1])[: self.recipe.patches]
        patches, _ = self.network.look(data.maps_of(pictures), chosen)
        captions = pictures * data.captions + torch.randint(data.captions, (len(pictures),))
        flat, mask = data.words_of(captions)
        rows = self.network.read(flat)
        words = rows.new_zeros(*mask.shape, rows.shape[1])
        words[mask] = rows
        of_images, of_texts = late_interaction(patches, words, mask)
        own = torch.eye(len(pictures), dtype=torch.bool)
        loss = LOSSES[self.recipe.over]
        return loss(of_images, of_texts, own, self.log_temperature.exp())


def fit(
    network: AdaMatch, recipe: Recipe, data: TrainPairs, settings: dict[str, Any], path: Path
) -> list[dict[str, Any]]:
    """Train a network, from its checkpoint if there is one.

    Parameters
    ----------
    settings
        With the ``seed``; a checkpoint of other settings is refused.
    path
        Of the checkpoint.

    Returns
    -------
    list
        A record per epoch; the network is trained in place.
    """
    stage = Stage(network, recipe)
    optimizer = torch.optim.AdamW(grouped(stage, recipe.decay), lr=recipe.rate)
    done = checkpoint.Progress({**settings, **asdict(recipe)})
    checkpoint.restore(path, stage, optimizer, done)
    batches_in(len(data), recipe)

    def loss_of(pictures: Tensor) -> Tensor:
        return stage.loss(data, pictures)

    for epoch in range(len(done.history), recipe.epochs):
        # paired: the same seed draws the same batches, captions and patches whatever the boxes
        torch.manual_seed(settings["seed"] * 1000 + epoch)
        stage.train()
        loss = train_epoch(optimizer, recipe, epoch, torch.randperm(len(data)), loss_of)
        done.history.append({"epoch": epoch, "loss": loss})
        checkpoint.save(path, stage, optimizer, done)
        logger.info("%s: epoch %d loss %.4f", path.name.partition(".")[0], epoch, loss)
    stage.eval()
    return done.history
