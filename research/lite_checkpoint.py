"""Training that survives a kill: after every epoch one file holds all that the next one needs.

A file is replaced only when its successor is complete. Each epoch draws its chances from a seed of
its own, so the state of the random generator need not be kept, and a run that was killed and
resumed ends with the same bits as one that was not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from crossrank.plugin.torch_weights import write_tensors


@dataclass(slots=True)
class Progress:
    """How far a stage is.

    Parameters
    ----------
    settings
        What it is trained with; a checkpoint of other settings is refused.
    history
        One record per finished epoch.
    """

    settings: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)


def save(path: Path, stage: nn.Module, optimizer: torch.optim.Optimizer, done: Progress) -> None:
    """Write a checkpoint in place of the one before."""
    tensors = {f"stage.{name}": each for name, each in stage.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": each for name, each in state.items()}
    text = {"settings": json.dumps(done.settings), "history": json.dumps(done.history)}
    write_tensors(path, tensors, text)


def restore(path: Path, stage: nn.Module, optimizer: torch.optim.Optimizer, done: Progress) -> None:
    """Read a checkpoint if there is one, into stage, optimizer and progress.

    Raises
    ------
    SystemExit
        If it was written by a run with other settings.
    """
    if not path.exists():
        return
    with safe_open(path, "pt") as file:
        text = file.metadata()
        if json.loads(text["settings"]) != done.settings:
            raise SystemExit(f"{path} is of other settings; remove it or choose another -o")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    done.history[:] = json.loads(text["history"])
    stage.load_state_dict(
        {name.removeprefix("stage."): each for name, each in tensors.items() if name[0] == "s"}
    )
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, each in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            states.setdefault(int(index), {})[key] = each
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
