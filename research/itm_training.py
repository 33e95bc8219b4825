"""Training one cross attention of ``lite_itm``: contrast over all pairs of a batch, and lessons."""

from __future__ import annotations

import copy
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import lite_checkpoint as checkpoint
from crossrank_lite_itm.network import LiteItm
from itm_data import CAPTIONS, TrainPairs
from training_epochs import batches_in, follow, grouped, seed_of, train_epoch

logger = logging.getLogger("train_lite_itm")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a cross attention is trained.

    Parameters
    ----------
    epochs, batch
        Passes over the pictures, and pictures per batch (each with one of its captions).
    cells, words
        How many of each a step sees, drawn by chance: it saves time and regularises.
    rate, decay
        Of AdamW; the rate rises over the first tenth of the steps and falls along a cosine.
    dropout
        Of the heads' hidden units; input features are dropped with `feature_dropout`.
    alpha, meaning_temperature
        Share and sharpness of the target that goes to the batch's other captions by meaning.
    average
        Decay of the running average of the weights, which is what is kept.
    lesson
        Share of the target that a teacher gives, where there is one.
    hard_from, group
        From this share of the epochs on, batches hold groups of so many pictures that look alike:
        random negatives first, hard ones then.
    """

    epochs: int = 12
    batch: int = 64
    cells: int = 25
    words: int = 9
    rate: float = 2e-3
    decay: float = 0.1
    dropout: float = 0.2
    feature_dropout: float = 0.1
    alpha: float = 0.3
    meaning_temperature: float = 0.1
    average: float = 0.998
    lesson: float = 0.8
    hard_from: float = 0.4
    group: int = 8


class Stage(nn.Module):
    """The network in training, and the running average of its weights.

    Parameters
    ----------
    network : LiteItm
        Of one member, with its scales set.
    recipe : Recipe
        How to train it.
    """

    def __init__(self, network: LiteItm, recipe: Recipe) -> None:
        super().__init__()
        self.network = network
        self.averaged = copy.deepcopy(network).requires_grad_(False)
        self.recipe = recipe
        self.drop = nn.Dropout1d(recipe.feature_dropout)

    def loss(
        self, data: TrainPairs, pictures: Tensor, captions: Tensor, teacher: LiteItm | None
    ) -> Tensor:
        """Return the loss of a batch of rows.

        Many captions fit many photographs ("a dog runs on the grass"), so part of the target goes
        to the batch's other pairs: ``(1 − α) I + α softmax(m mᵀ / t)``, with the captions' own
        meanings ``m`` under the frozen language model.  A teacher that sees the same cells and
        words says it better (born-again networks, Furlanello et al., ICML 2018).
        """
        recipe, network = self.recipe, self.network
        view = int(torch.randint(len(data.views), ()))
        chosen = torch.randperm(data.cells)[: recipe.cells]
        regions = network.read_cells(data.cells_of(view, pictures, chosen))
        words, tokens, mask = data.words_of(captions, recipe.words)
        read = network.read_words(words, tokens)
        member = network.attentions[0]
        logits = member(
            member.cell_head(self._drop(regions)), member.word_head(self._drop(read)), None, mask
        )
        alike = data.meanings[captions] @ data.meanings[captions].T
        target = recipe.alpha * (alike / recipe.meaning_temperature).softmax(dim=1)
        target += (1 - recipe.alpha) * torch.eye(len(pictures))
        of_texts, of_pictures = target, target.T
        if teacher is not None:
            with torch.no_grad():
                taught = teacher(
                    teacher.heads_of_cells(regions), teacher.heads_of_words(read), None, mask
                )
            of_texts = of_texts.lerp(taught.softmax(dim=1), recipe.lesson)
            of_pictures = of_pictures.lerp(taught.softmax(dim=0), recipe.lesson)
        over_texts = (of_texts * logits.log_softmax(dim=1)).sum(dim=1).mean()
        over_pictures = (of_pictures * logits.log_softmax(dim=0)).sum(dim=0).mean()
        loss: Tensor = -(over_texts + over_pictures) / 2
        return loss

    def follow(self, step: int) -> None:
        """Move the running average towards the weights."""
        follow(self.averaged, self.network, self.recipe.average, step)

    def _drop(self, vectors: Tensor) -> Tensor:
        """Drop the same features from all vectors of an item."""
        dropped: Tensor = self.drop(vectors.transpose(1, 2)).transpose(1, 2)
        return dropped


def fit(
    network: LiteItm,
    recipe: Recipe,
    data: TrainPairs,
    settings: dict[str, Any],
    path: Path,
    teacher: LiteItm | None = None,
) -> tuple[LiteItm, list[dict[str, Any]]]:
    """Train a network of one member, from its checkpoint if there is one.

    Parameters
    ----------
    settings
        With the ``seed``; a checkpoint of other settings is refused.
    path
        Of the checkpoint.
    teacher
        Networks that were trained before, in evaluation mode.

    Returns
    -------
    network
        The averaged one.
    history
        A record per epoch.
    """
    stage = Stage(network, recipe)
    optimizer = torch.optim.AdamW(grouped(network, recipe.decay), lr=recipe.rate)
    done = checkpoint.Progress({**settings, **asdict(recipe)})
    checkpoint.restore(path, stage, optimizer, done)
    pictures = len(data.alike)
    batches_in(pictures, recipe)

    def loss_of(rows: Tensor) -> Tensor:
        captions = rows * CAPTIONS + torch.randint(CAPTIONS, (len(rows),))
        return stage.loss(data, rows, captions, teacher)

    for epoch in range(len(done.history), recipe.epochs):
        torch.manual_seed(seed_of(settings["seed"], epoch))
        stage.train()
        order = torch.randperm(pictures)
        if epoch >= recipe.hard_from * recipe.epochs:
            order = side_by_side(data.alike, recipe.group)
        loss = train_epoch(optimizer, recipe, epoch, order, loss_of, stage.follow)
        done.history.append({"epoch": epoch, "loss": loss})
        checkpoint.save(path, stage, optimizer, done)
        logger.info("%s: epoch %d loss %.4f", path.name.partition(".")[0], epoch, loss)
    return stage.averaged.eval(), done.history


def side_by_side(alike: NDArray[np.int64], group: int) -> Tensor:
    """Return a random order of all pictures in which some that look alike follow each other.

    Parameters
    ----------
    alike
        ``[N, K]``, see `TrainPairs`.
    group
        How many at most.
    """
    free = np.ones(len(alike), np.bool_)
    groups = []
    for picture in torch.randperm(len(alike)).tolist():
        if free[picture]:
            near = alike[picture]
            groups.append(near[free[near]][:group])
            free[groups[-1]] = False
    return torch.from_numpy(np.concatenate([groups[n] for n in torch.randperm(len(groups))]))
