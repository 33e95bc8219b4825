"""MobileCLIP's image tower with merged branches, against itself before and ViT-B/16, one picture.

    .venv-openclip/bin/python benchmarks/openclip.py

Random weights: the arithmetic does not depend on them.  All in one run, by turns.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from crossrank_openclip import fold, open_clip

ROUNDS = 15


def tower(name: str) -> tuple[Any, int]:
    model = open_clip().create_model(name, pretrained_text=False)
    size = model.visual.image_size
    return model.visual.eval(), size[0] if isinstance(size, tuple) else size


def norms(module: torch.nn.Module) -> int:
    return sum(isinstance(each, torch.nn.BatchNorm2d) for each in module.modules())


def main() -> None:
    torch.set_num_threads(1)
    trained, size = tower("MobileCLIP-S1")
    merged = copy.deepcopy(trained)
    count = fold(merged)
    large, large_size = tower("ViT-B-16")
    images = torch.rand(1, 3, size, size)
    rivals: dict[str, Callable[[], Any]] = {
        "MobileCLIP-S1, as trained": lambda: trained(images),
        "MobileCLIP-S1, merged": lambda: merged(images),
        "ViT-B/16": lambda: large(images[..., :large_size, :large_size]),
    }
    with torch.inference_mode():
        difference = float((trained(images) - merged(images)).abs().max())
        seconds: dict[str, list[float]] = {name: [] for name in rivals}
        for _ in range(ROUNDS):
            for name, call in rivals.items():
                start = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - start)
    print(f"{count} blocks merged, BatchNorms {norms(trained)} → {norms(merged)}, ", end="")
    print(f"largest difference {difference:.1e} (initial weights)")
    first = seconds["MobileCLIP-S1, as trained"]
    print(f"{'':28s}{'min ms':>9s}{'median':>9s}{'ratio min':>11s}{'median':>9s}")
    for name, own in seconds.items():
        low, middle = min(own), float(np.median(own))
        ratios = low / min(first), middle / float(np.median(first))
        print(f"{name:28s}{low * 1e3:9.1f}{middle * 1e3:9.1f}{ratios[0]:11.2f}{ratios[1]:9.2f}")


if __name__ == "__main__":
    main()
