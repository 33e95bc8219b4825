"""Training that survives a kill: after every epoch one file holds all that the next one needs.

A file is replaced only when its successor is complete.  Each epoch draws from a seed of its own, so
that the state of the random generator need not be kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from crossrank.errors import StoreError
from crossrank.plugin.torch_weights import write_tensors


@dataclass(slots=True)
class Run:
    """How far a training is.

    Parameters
    ----------
    settings
        What decides it; a checkpoint of other settings is refused.
    student
        As it starts.
    history
        A record per epoch; its first figure after ``epoch`` and ``loss`` is the one to raise.
    best
        The weights of the best epoch so far.
    """

    settings: dict[str, Any]
    student: nn.Module
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    def record(self, record: dict[str, Any], student: nn.Module) -> None:
        """Add an epoch, and keep its weights if it is the best."""
        self.history.append(record)
        if self.best_epoch == len(self.history) - 1:
            self.best = {name: each.clone() for name, each in student.state_dict().items()}

    @property
    def best_epoch(self) -> int:
        """The epoch with the highest figure; the earliest among equal ones."""
        figures = [
            next(float(v) for name, v in record.items() if name not in ("epoch", "loss"))
            for record in self.history
        ]
        return figures.index(max(figures))

    def finished(self, epochs: int, patience: int) -> bool:
        """Tell whether all epochs are done, or too many since the best."""
        done = len(self.history) - 1
        return done >= epochs or done - self.best_epoch >= patience


def save(path: Path, student: nn.Module, optimizer: torch.optim.Optimizer, run: Run) -> None:
    """Write a checkpoint in place of the one before."""
    tensors = {f"student.{name}": each for name, each in student.state_dict().items()}
    tensors |= {f"best.{name}": each for name, each in run.best.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": each for name, each in state.items()}
    text = {"settings": json.dumps(run.settings), "history": json.dumps(run.history)}
    write_tensors(path, tensors, text)


def restore(path: Path, student: nn.Module, optimizer: torch.optim.Optimizer, run: Run) -> bool:
    """Read a checkpoint into student, optimizer and run; return whether there was one.

    Raises
    ------
    StoreError
        If it is of another training, or cannot be read.
    """
    if not path.exists():
        return False
    try:
        with safe_open(path, "pt") as file:
            text = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        settings, history = json.loads(text["settings"]), json.loads(text["history"])
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise StoreError(f"cprd: {path} is no checkpoint: {error}; remove it") from error
    other = [name for name, value in run.settings.items() if settings.get(name) != value]
    if other:
        raise StoreError(
            f"cprd: the checkpoint {path} is of a training with another {', '.join(other)}; "
            "choose another folder, or remove it"
        )
    run.history[:] = history
    run.best = _under("best.", tensors)
    student.load_state_dict(_under("student.", tensors))
    states: dict[int, dict[str, Tensor]] = {}
    for name, each in _under("optimizer.", tensors).items():
        index, key = name.split(".")
        states.setdefault(int(index), {})[key] = each
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
    return True


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)
    }
