"""No loss makes a tensor of its own on the processor where its inputs lie elsewhere.

There is no other device here: while a loss is computed, whatever makes a tensor must say where.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("networkx")

from torch.overrides import TorchFunctionMode  # noqa: E402

from crossrank_adamatch.losses import adamatch_loss, adamatch_loss_over_texts  # noqa: E402
from crossrank_cora.losses import specificity_loss, supcon_loss, triplet_loss  # noqa: E402
from crossrank_cprd.baselines import contrastive_loss, kl_loss, listmle_loss  # noqa: E402
from crossrank_cprd.loss import CprdLoss, cprd_loss  # noqa: E402
from crossrank_filip.loss import FilipLoss  # noqa: E402
from crossrank_hosa.loss import HosaLoss, hardest_hinge  # noqa: E402
from crossrank_knowledge.cycle import cycle_loss, own_row_loss  # noqa: E402
from crossrank_reinforce.losses import (  # noqa: E402
    clip_loss,
    distillation_loss,
    reinforced_loss,
)

ROOT = Path(__file__).parents[2]
MAKERS = {
    getattr(torch, name)
    for name in (
        *("arange", "empty", "eye", "full", "linspace", "ones", "rand", "randint", "randn"),
        *("randperm", "tensor", "tril_indices", "triu_indices", "zeros"),
    )
}


class Told(TorchFunctionMode):
    """Refuses a tensor that is made without its device; numbers may meet any device."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if func in MAKERS and (kwargs or {}).get("device") is None and found.dim():
            raise AssertionError(f"torch.{func.__name__} without device=")
        return found


def unit(*shape: int) -> Any:
    return torch.nn.functional.normalize(torch.randn(*shape), dim=-1).requires_grad_()


def cases() -> dict[str, Callable[[], Any]]:
    torch.manual_seed(0)
    scores, teacher = torch.randn(4, 4).requires_grad_(), torch.randn(4, 4)
    match = torch.eye(4, dtype=torch.bool)
    some = torch.ones(4, 4, dtype=torch.bool)
    some[:, 3] = False
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[1, 3:] = False
    images, texts = unit(4, 6, 8), unit(4, 5, 8)
    valid = teacher >= 0
    ids = torch.tensor([0, 0, 1, 2])
    words, regions, weight = unit(3, 8), unit(5, 8), unit(8, 8)
    rows, columns = unit(4, 8), unit(4, 8)
    teachers = [(unit(4, 6).detach(), unit(4, 6).detach(), 20.0)]
    filip, thinned = FilipLoss(), FilipLoss(keep=0.5)
    return {
        "FilipLoss": lambda: (
            filip(images, texts, mask)
            + thinned(images, texts, mask, image_ids=ids, text_image_ids=ids)
        ),
        "HosaLoss": lambda: HosaLoss()(images, texts, mask),
        "hardest_hinge": lambda: hardest_hinge(scores, 0.2),
        "cprd_loss": lambda: cprd_loss(scores, teacher, valid),
        "CprdLoss": lambda: CprdLoss(0.0)(scores, teacher, some),
        "kl_loss": lambda: kl_loss(scores, teacher, some),
        "listmle_loss": lambda: listmle_loss(scores, teacher, some),
        "contrastive_loss": lambda: contrastive_loss(scores, match, 0.07),
        "supcon_loss": lambda: supcon_loss(scores, match, 0.1),
        "triplet_loss": lambda: triplet_loss(scores, match, 0.2),
        "specificity_loss": lambda: specificity_loss(scores, teacher, 0.1),
        "adamatch_loss": lambda: adamatch_loss(scores, teacher, match, 0.07),
        "adamatch_loss_over_texts": lambda: adamatch_loss_over_texts(scores, teacher, match, 0.07),
        "cycle_loss": lambda: sum(cycle_loss(words, regions, weight)),
        "clip_loss": lambda: clip_loss(rows, columns, 20.0),
        "distillation_loss": lambda: distillation_loss(teachers, rows, columns, 20.0),
        "reinforced_loss": lambda: reinforced_loss(teachers, rows, columns, 20.0, 0.5),
        "own_row_loss": lambda: own_row_loss(scores, "mean"),
    }


@pytest.mark.parametrize("name", cases())
def test_it_says_where(name: str) -> None:
    call = cases()[name]
    with Told():
        loss = call()
        loss.backward()
    assert bool(torch.isfinite(loss))


def test_the_mode_sees_a_tensor_that_is_made_here() -> None:
    with pytest.raises(AssertionError, match=r"torch\.eye without device="), Told():
        torch.eye(3)


def test_every_loss_is_among_them() -> None:
    named = set()
    for root in ("plugins", "knowledge"):
        for path in (ROOT / root).rglob("*.py"):
            for node in ast.parse(path.read_bytes()).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    last = node.name.lower().rpartition("_")[2]
                    if not node.name.startswith("_") and last.endswith(("loss", "hinge")):
                        named.add(node.name)
    assert named <= set(cases()), "a loss that no case computes; add it"
