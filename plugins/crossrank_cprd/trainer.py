"""Training a student, from a checkpoint if there is one."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from crossrank.errors import InputError
from crossrank_cprd import checkpoint
from crossrank_cprd.baselines import contrastive_loss
from crossrank_cprd.mining import TaughtLists
from crossrank_cprd.objective import distillation
from crossrank_cprd.pairs import Pairs
from crossrank_cprd.recipe import Recipe
from crossrank_cprd.student import Student

log = logging.getLogger(__name__)

Measure = Callable[[Student], dict[str, float]]
"""Figures of a student on the dev split; the first one decides."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a student learns from.

    Parameters
    ----------
    pairs
        Pictures and texts.
    texts, images
        The teacher's scores: of pictures for each text (t2i), of texts for each picture (i2t).
        None without a teacher.
    fingerprint
        Of all of it, so that no checkpoint goes on with other data.
    """

    pairs: Pairs
    texts: TaughtLists | None = None
    images: TaughtLists | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Mined:
    """The whole split as it was when an epoch began, and every query's hardest negatives in it."""

    images: Tensor
    texts: Tensor
    of_texts: TaughtLists
    of_images: TaughtLists


def train(
    student: Student,
    lesson: Lesson,
    recipe: Recipe,
    measure: Measure,
    path: Path | None = None,
) -> list[dict[str, Any]]:
    """Train a student in place; it ends with the weights of its best epoch.

    Parameters
    ----------
    student
        As it starts.
    lesson, recipe, measure
        What, how, and until when.
    path
        The checkpoint, rewritten after every epoch.  A run that was killed at any moment and is
        started again ends with the same bits.

    Returns
    -------
    list
        A record per epoch, the first one before training.

    Raises
    ------
    StoreError
        If the checkpoint is of another recipe or other data.
    """
    optimizer = torch.optim.AdamW(_grouped(student, recipe.decay), lr=recipe.rate)
    run = checkpoint.Run({"lesson": lesson.fingerprint, **asdict(recipe)}, student)
    if path is None or not checkpoint.restore(path, student, optimizer, run):
        run.record({"epoch": 0, **measure(student.eval())}, student)
    while not run.finished(recipe.epochs, recipe.patience):
        epoch = len(run.history)
        loss = _epoch(student, lesson, recipe, optimizer, epoch)
        run.record({"epoch": epoch, "loss": round(loss, 4), **measure(student.eval())}, student)
        if path is not None:
            checkpoint.save(path, student, optimizer, run)
        log.info(" ".join(f"{name} {value}" for name, value in run.history[-1].items()))
    student.load_state_dict(run.best)
    student.eval()
    return run.history


def _epoch(
    student: Student,
    lesson: Lesson,
    recipe: Recipe,
    optimizer: torch.optim.Optimizer,
    epoch: int,
) -> float:
    """Show every text once; return the mean loss."""
    torch.manual_seed(_seed(recipe.seed, epoch))
    pairs = lesson.pairs
    queue = None
    if recipe.objective != "none":
        queue = _mined(student.eval(), lesson, recipe)
    student.train()
    shown = batches(pairs.owners, recipe.batch)
    steps, losses = recipe.epochs * len(shown), []
    for step, texts in enumerate(shown, start=(epoch - 1) * len(shown)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * schedule(step, steps)
        loss = _loss(student, lesson, recipe, texts, queue)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.inference_mode()
def _mined(student: Student, lesson: Lesson, recipe: Recipe) -> Mined | None:
    """Embed the split, and pick every query's hardest negatives out of its pool."""
    if lesson.texts is None or lesson.images is None:
        raise InputError(f"cprd: the objective {recipe.objective!r} needs a teacher's scores")
    images = lesson.pairs.images.all_through(student.image)
    texts = lesson.pairs.texts.all_through(student.text)
    return Mined(
        images,
        texts,
        lesson.texts.hardest(texts, images, recipe.hardest),
        lesson.images.hardest(images, texts, recipe.hardest),
    )


def _loss(
    student: Student, lesson: Lesson, recipe: Recipe, texts: Tensor, queue: Mined | None
) -> Tensor:
    pairs = lesson.pairs
    images = pairs.owners[texts]
    seen = pairs.images.through(student.image, images)
    read = pairs.texts.through(student.text, texts)
    target = _target(pairs, images, texts, recipe)
    loss = recipe.contrast * contrastive_loss(seen @ read.T, target, recipe.contrast_tau)
    if queue is not None:
        by_text = distillation(read, texts, queue.images, queue.of_texts, recipe)
        by_image = distillation(seen, images, queue.texts, queue.of_images, recipe)
        loss = loss + recipe.weight * (by_text + by_image) / 2
    return loss


def _target(pairs: Pairs, images: Tensor, texts: Tensor, recipe: Recipe) -> Tensor:
    """Return ``[B, B]`` the contrastive target: the own pair, and a share for texts much alike.

    Many captions fit many of the photographs ("a dog runs on the grass").
    """
    own = (images[:, None] == images[None, :]).float()
    meanings = pairs.texts.embedding[texts]
    alike = (meanings @ meanings.T / recipe.soft_tau).softmax(dim=1)
    return (1 - recipe.soft) * own / own.sum(dim=1, keepdim=True) + recipe.soft * alike


def batches(owners: Tensor, size: int) -> list[Tensor]:
    """Deal all texts into batches in which no picture stands twice.

    Parameters
    ----------
    owners
        ``[texts]`` the picture of each.
    size
        At most so many texts a batch.
    """
    order = torch.randperm(len(owners))
    order = order[owners[order].argsort(stable=True)]
    counts = torch.bincount(owners)
    starts = counts.cumsum(0) - counts
    rounds = torch.arange(len(owners)) - starts[owners[order]]
    dealt: list[Tensor] = []
    for each in range(int(counts.max())):
        texts = order[rounds == each]
        dealt += torch.split(texts[torch.randperm(len(texts))], size)
    return dealt


def schedule(step: int, steps: int) -> float:
    """Return the factor of the rate: up over the first tenth, down along a cosine to 0."""
    return min(1.0, 10 * (step + 1) / steps) * (1 + math.cos(math.pi * step / steps)) / 2


def _grouped(student: Student, decay: float) -> list[dict[str, Any]]:
    """Return the parameters in two groups: only matrices decay."""
    everything = list(student.parameters())
    return [
        {"params": [each for each in everything if each.ndim > 1], "weight_decay": decay},
        {"params": [each for each in everything if each.ndim < 2], "weight_decay": 0.0},
    ]


def _seed(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=7).digest())
