"""Training CORA: the losses of a batch, and epochs that survive a kill."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import lite_checkpoint as checkpoint
from cora_data import CAPTIONS, Integers, TrainingSet
from crossrank_cora.losses import specificity_loss, supcon_loss, triplet_loss
from crossrank_cora.network import Cora
from training_epochs import batches_in, follow, grouped, train_epoch

logger = logging.getLogger("train_cora")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How CORA is trained.

    Parameters
    ----------
    epochs, batch, captions
        Passes over the pictures, pictures per batch, and captions of each, drawn by chance.
    cells
        How many of a picture's cells a step sees: it saves time and regularises.
    whole
        Share of the steps that see all of them: the weights of the pooling follow from the count
        alone, and those of a count that no step saw are anything at all.
    rate, decay
        Of AdamW; the rate rises over the first tenth of the steps and falls along a cosine.
    dropout
        See `Cora`.
    tau
        Temperature of the contrastive loss.
    triplet, specificity
        Weights of these losses beside it.
    margin
        Of both.
    average
        Decay of the running average of the weights, which is what is kept.
    patience
        Training ends when so many epochs in a row brought nothing on the validation split.
    """

    epochs: int = 12
    batch: int = 128
    captions: int = 2
    cells: int = 25
    whole: float = 0.2
    rate: float = 1e-3
    decay: float = 0.05
    dropout: float = 0.1
    tau: float = 0.01
    triplet: float = 4.0
    specificity: float = 11.0
    margin: float = 0.35
    average: float = 0.99
    patience: int = 3


class Stage(nn.Module):
    """The network in training, the running average of its weights, and the best of these.

    Parameters
    ----------
    network : Cora
        With its scales set.
    recipe : Recipe
        How to train it.
    """

    def __init__(self, network: Cora, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.averaged = copy.deepcopy(network).requires_grad_(False)
        self.best = copy.deepcopy(network).requires_grad_(False)
        self.recipe = recipe

    def loss(self, data: TrainingSet, vectors: Tensor, pictures: Tensor) -> Tensor:
        """Return the loss of a batch.

        Parameters
        ----------
        data
            The split.
        vectors
            ``[P, phrase]``: its phrases, standardised.
        pictures
            ``[B]`` rows.
        """
        recipe, network = self.recipe, self.network
        every = data.cells.shape[1]
        count = every if torch.rand(()) < recipe.whole else recipe.cells
        chosen = torch.randperm(every)[:count].sort().values
        raw = data.seen(pictures, chosen)
        counts = torch.full((len(raw),), len(chosen))
        seen = functional.normalize(
            network.pictures(network.of_regions(raw), counts, chosen), dim=-1
        )
        picked = torch.rand(len(pictures), CAPTIONS).argsort(dim=1)[:, : recipe.captions]
        rows = (pictures[:, None] * CAPTIONS + picked).flatten().numpy()
        owner = torch.arange(len(pictures)).repeat_interleave(recipe.captions)
        graphs = data.graphs.take(rows)
        entities, captions = (
            functional.normalize(each, dim=-1) for each in network.texts(graphs, vectors)
        )
        # a caption without objects says nothing that could be learned
        told = torch.from_numpy(graphs.objects.lengths > 0)
        own = (owner == torch.arange(len(pictures))[:, None])[:, told]
        columns = [captions[told]]
        if (changed := self._changed(data, rows)) is not None:
            false = functional.normalize(network.texts(changed, vectors)[1], dim=-1)
            columns.append(false)
            own = torch.cat([own, own.new_zeros(len(own), len(false))], dim=1)
        numbers, first = np.unique(
            data.entities[data.graphs.objects.rows_of(rows)], return_index=True
        )
        shown = torch.from_numpy(data.shows(pictures.numpy(), numbers))
        columns.append(entities[torch.from_numpy(first)])
        scores = seen @ torch.cat(columns).T
        positive = torch.cat([own, shown], dim=1)
        contrast = supcon_loss(scores, positive, recipe.tau) + supcon_loss(
            scores.T, positive.T, recipe.tau
        )
        of_captions = scores[:, : own.shape[1]]
        whole = (seen[owner] * captions).sum(dim=1)
        graph = torch.from_numpy(np.repeat(np.arange(len(rows)), graphs.objects.lengths))
        parts = (seen[owner[graph]] * entities).sum(dim=1)
        return (
            contrast
            + recipe.triplet * triplet_loss(of_captions, own, recipe.margin)
            + recipe.specificity * specificity_loss(parts, whole[graph], recipe.margin)
        )

    def _changed(self, data: TrainingSet, rows: Integers) -> Any:
        """Return one changed graph of each caption that has any, None if none has."""
        first, behind = data.changed_from[rows], data.changed_from[rows + 1]
        some = behind > first
        if not some.any():
            return None
        chance = torch.rand(len(rows), dtype=torch.float64).numpy()
        return data.changed.take((first + (behind - first) * chance).astype(np.int64)[some])

    def follow(self, step: int) -> None:
        """Move the running average towards the weights."""
        follow(self.averaged, self.network, self.recipe.average, step)


def fit(
    network: Cora,
    recipe: Recipe,
    data: TrainingSet,
    settings: dict[str, Any],
    path: Path,
    measure: Callable[[Cora], dict[str, float]],
) -> tuple[Cora, list[dict[str, Any]]]:
    """Train a network, from its checkpoint if there is one.

    Parameters
    ----------
    settings
        With the ``seed``; a checkpoint of other settings is refused.
    path
        Of the checkpoint.
    measure
        Returns figures of the validation split, among them ``rsum``, by which the best is kept.

    Returns
    -------
    network
        The averaged one, of the best epoch.
    history
        A record per epoch.
    """
    stage = Stage(network, recipe)
    optimizer = torch.optim.AdamW(grouped(network, recipe.decay), lr=recipe.rate)
    done = checkpoint.Progress({**settings, **asdict(recipe)})
    checkpoint.restore(path, stage, optimizer, done)
    with torch.no_grad():
        vectors = network.of_phrases(torch.from_numpy(data.vectors))
    batches_in(len(data), recipe)

    def loss_of(rows: Tensor) -> Tensor:
        return stage.loss(data, vectors, rows)

    while len(done.history) < recipe.epochs and not exhausted(done.history, recipe.patience):
        epoch = len(done.history)
        torch.manual_seed(settings["seed"] * 1000 + epoch)
        stage.train()
        order = torch.randperm(len(data))
        loss = train_epoch(optimizer, recipe, epoch, order, loss_of, stage.follow)
        record: dict[str, Any] = {"epoch": epoch, "loss": loss}
        record |= measure(stage.averaged.eval())
        if record["rsum"] > max((each["rsum"] for each in done.history), default=-math.inf):
            stage.best.load_state_dict(stage.averaged.state_dict())
        done.history.append(record)
        checkpoint.save(path, stage, optimizer, done)
        logger.info("%s: %s", path.name.partition(".")[0], record)
    return stage.best.eval(), done.history


def exhausted(history: list[dict[str, Any]], patience: int) -> bool:
    """Return whether the last epochs brought nothing."""
    found = [each["rsum"] for each in history]
    return len(found) > patience and max(found[-patience:]) <= max(found[:-patience])
