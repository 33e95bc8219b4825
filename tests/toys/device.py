"""What tests of device kernels share: the devices to try, and what a run on one of them takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

import crossrank as cr

HERE = "cpu:0"
"""The arithmetic for devices, on the processor."""
GPU = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here"),
    ],
)
DEVICES = [HERE, GPU]


def on_device(reranker: type[cr.Reranker], device: str = HERE) -> type[cr.Reranker]:
    """Return a reranker that computes on a device whatever the run says, for the promises."""

    class OnDevice(reranker):  # type: ignore[misc, valid-type]
        def prepare(self, context: cr.Context) -> Any:
            return super().prepare(replace(context, device=device))

    return OnDevice
