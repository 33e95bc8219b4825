"""What the trainings share: groups of parameters, the pace of the rate, an epoch of batches."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn


class Paced(Protocol):
    """What an epoch reads of a recipe."""

    @property
    def epochs(self) -> int:
        """How many passes over the pictures there will be."""

    @property
    def batch(self) -> int:
        """How many pictures a batch has."""

    @property
    def rate(self) -> float:
        """The highest rate."""


def grouped(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Return the parameters that are learned in two groups: only matrices decay."""
    learned = [each for each in network.parameters() if each.requires_grad]
    return [
        {"params": [each for each in learned if each.ndim > 1], "weight_decay": decay},
        {"params": [each for each in learned if each.ndim < 2], "weight_decay": 0.0},
    ]


def schedule(step: int, steps: int, rising: int = 10) -> float:
    """Return the factor of the rate: up over the first tenth, down along a cosine to 0."""
    return min(1.0, rising * (step + 1) / steps) * (1 + math.cos(math.pi * step / steps)) / 2


def batches_in(pictures: int, recipe: Paced, who: str = "") -> int:
    """Return how many whole batches an epoch has.

    Raises
    ------
    SystemExit
        If there is not one.
    """
    if pictures < recipe.batch:
        raise SystemExit(f"{who}a batch of {recipe.batch} needs more than {pictures} pictures")
    return pictures // recipe.batch


def train_epoch(
    optimizer: torch.optim.Optimizer,
    recipe: Paced,
    epoch: int,
    order: Tensor,
    loss_of: Callable[[Tensor], Tensor],
    after: Callable[[int], None] | None = None,
) -> float:
    """Learn from whole batches of pictures.

    Parameters
    ----------
    optimizer, recipe, epoch
        What moves the weights, how fast, and the number of this epoch.
    order
        Rows of the pictures, of which a last batch that is not whole is left out.
    loss_of
        Returns the loss of a batch of rows.
    after
        Called with the number of each step, counted over all epochs.

    Returns
    -------
    float
        The mean loss, to four digits.
    """
    batches = batches_in(len(order), recipe)
    rows = order[: batches * recipe.batch].view(batches, recipe.batch)
    losses = []
    for step, batch in enumerate(rows, start=epoch * batches):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * schedule(step, recipe.epochs * batches)
        loss = loss_of(batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        if after is not None:
            after(step)
        losses.append(loss.item())
    return round(float(np.mean(losses)), 4)


@torch.no_grad()
def follow(averaged: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move a running average towards the weights, faster in the first steps."""
    share = 1 - min(decay, (1 + step) / (10 + step))
    for kept, each in zip(averaged.parameters(), network.parameters(), strict=True):
        kept.lerp_(each, share)


def seed_of(*parts: object) -> int:
    """Return a seed that differs for every seed, stage and epoch."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=7).digest())


def write_json(path: Path, value: object) -> None:
    """Write a file that appears under its name only when it is complete."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
