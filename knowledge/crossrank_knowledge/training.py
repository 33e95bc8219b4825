"""The state of a refinement: W, Adam's moments, and how well it went so far."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crossrank.plugin.files import disk_errors
from crossrank_knowledge.batches import Batch, Floats
from crossrank_knowledge.cycle import cycle_logits, import_torch, own_row_loss
from crossrank_knowledge.tensors import map_tensors, write_tensors

if TYPE_CHECKING:
    import torch


class Training:
    """W, Adam's moments, the accuracies so far and the best W.

    Parameters
    ----------
    size
        D; W starts as the identity.
    learning_rate
        Adam's.
    """

    def __init__(self, size: int, learning_rate: float) -> None:
        torch = import_torch()
        self.weight = torch.eye(size, requires_grad=True)
        self.optimiser = torch.optim.Adam([self.weight], lr=learning_rate)
        self.step = 0
        self.accuracies: list[float] = []
        self.best: Floats = np.eye(size, dtype=np.float32)

    def advance(self, batch: Batch, temperature: float) -> None:
        """Take one step down the mean cycle loss of unit rows."""
        torch = import_torch()
        words, regions = self._logits(batch, temperature)
        self.optimiser.zero_grad()
        torch.autograd.backward(own_row_loss(words, "mean") + own_row_loss(regions, "mean"))
        self.optimiser.step()
        self.step += 1

    def look(self, batch: Batch, temperature: float) -> None:
        """Note the share of words and regions that find back to themselves."""
        torch = import_torch()
        with torch.no_grad():
            shares = [
                (each.argmax(dim=1) == torch.arange(len(each))).float().mean().item()
                for each in self._logits(batch, temperature)
            ]
        accuracy = sum(shares) / 2
        if accuracy > max(self.accuracies, default=-math.inf):
            self.best = self.weight.detach().numpy().copy()
        self.accuracies.append(accuracy)

    def stale(self, patience: int) -> bool:
        """Tell whether the last `patience` looks brought nothing better."""
        if not self.accuracies:
            return False
        best = self.accuracies.index(max(self.accuracies))
        return len(self.accuracies) - 1 - best >= patience

    def save(self, path: Path, recipe: str) -> None:
        """Write everything to a file that replaces `path` when it is complete."""
        moments = self.optimiser.state.get(self.weight, {})
        arrays: dict[str, NDArray[np.float32] | NDArray[np.float64]] = {
            "weight": self.weight.detach().numpy(),
            "best": self.best,
            "accuracies": np.array(self.accuracies),
            "step": np.array([float(self.step)]),
        }
        arrays |= {f"adam_{name}": np.atleast_1d(each.numpy()) for name, each in moments.items()}
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, arrays, {"recipe": recipe})

    def load(self, path: Path) -> str:
        """Take over what `save` wrote, and return its recipe."""
        torch = import_torch()
        mapped, strings = map_tensors(path)
        arrays = {name: np.array(array) for name, array in mapped.items()}
        if arrays["weight"].shape == tuple(self.weight.shape):
            with torch.no_grad():
                self.weight.copy_(torch.from_numpy(arrays["weight"]))
            self.best = arrays["best"]
            self.accuracies = arrays["accuracies"].tolist()
            self.step = int(arrays["step"][0])
            moments = {
                name.removeprefix("adam_"): torch.from_numpy(array)
                for name, array in arrays.items()
                if name.startswith("adam_")
            }
            if moments:
                moments["step"] = moments["step"].reshape(())
                self.optimiser.state[self.weight] = moments
        return strings["recipe"]

    def _logits(self, batch: Batch, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
        torch = import_torch()
        u, r = (
            torch.nn.functional.normalize(torch.from_numpy(each) @ self.weight, dim=1)
            for each in batch
        )
        return cycle_logits(u, r, temperature)
