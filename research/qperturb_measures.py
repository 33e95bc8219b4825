"""What Q-Perturbation does to the tiny BLIP-2: queries answered right, and what is attended to.

A measurement is an array ``[queries]`` of bool: is the best-scored candidate the right one? All
settings of a model score the same pairs, so that they can be compared query by query.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossrank_qperturb import Perturbation, attention_maps, perturbation, perturbed
from tiny_blip2_model import (
    itm_logits,
    make_tokenizer,
    picture_embeddings,
    text_embeddings,
    vision_features,
)
from tiny_blip2_scenes import Fact, Scene, boxes_of, caption
from tiny_blip2_stages import patch_shares

ALPHAS = (1, 2, 4, 8, 16)
COMPONENTS = (0.5, 0.9, 0.99)
PROJECTORS = ("pca", "reference_rows")
BOXES = ("mentioned", "all")


@dataclass(frozen=True, slots=True, order=True)
class Setting:
    """One way to perturb; `alpha` 0 is the model as it is."""

    projector: str = "pca"
    boxes: str = "mentioned"
    n_pc: float = 0.99
    alpha: float = 0.0


BASELINE = Setting()
PUBLISHED = Setting(alpha=8)
ALL_BOXES = Setting(boxes="all", alpha=8)
"""As published, but with the boxes of all things: what a search can know."""


def settings() -> Iterator[Setting]:
    """Yield the baseline, then every setting of the grid."""
    yield BASELINE
    for each in product(PROJECTORS, BOXES, COMPONENTS, ALPHAS):
        yield Setting(*each)


class Gallery:
    """The pictures and captions of a gallery as a model sees them.

    Parameters
    ----------
    model
        A tiny BLIP-2.
    pictures
        Scenes with the fact that each one's caption tells.
    depth
        How many pictures of each text's list ITM scores: the first ones by ITC unperturbed.
    """

    def __init__(self, model: Any, pictures: Sequence[tuple[Scene, Fact]], depth: int) -> None:
        self.model = model
        self.depth = depth
        self._known: dict[Setting, Perturbation] = {}
        things = [scene.facts()[fact] for scene, fact in pictures]
        self.areas = np.array([min(thing.area for thing in pair) for pair in things])
        self.boxes = {
            "mentioned": [boxes_of(pair) for pair in things],
            "all": [boxes_of(scene.things) for scene, _ in pictures],
        }
        told = make_tokenizer()([caption(fact) for _, fact in pictures], padding=True)
        self.ids, self.mask = (torch.tensor(told[name]) for name in ("input_ids", "attention_mask"))
        self.vision = vision_features(model, [scene.picture for scene, _ in pictures])
        with torch.inference_mode():
            self.texts = text_embeddings(model, self.ids, self.mask)
        self.lists = self.itc(BASELINE).topk(depth).indices

    def itc(self, setting: Setting) -> torch.Tensor:
        """Return ``[texts, pictures]`` scores."""
        with torch.inference_mode(), self._perturbed(self.perturbation(setting)):
            table = picture_embeddings(self.model, self.vision) @ self.texts.T
        return table.amax(dim=1).T

    def itm(self, setting: Setting) -> torch.Tensor:
        """Return ``[texts, depth]`` scores of the lists."""
        moved = self.perturbation(setting)
        scores = []
        for start in range(0, len(self.lists), 16):
            rows = torch.arange(start, min(start + 16, len(self.lists)))
            pictures, texts = self.lists[rows].flatten(), rows.repeat_interleave(self.depth)
            taken = None if moved is None else moved.take(pictures)
            with torch.inference_mode(), self._perturbed(taken):
                logits = itm_logits(
                    self.model, self.vision[pictures], self.ids[texts], self.mask[texts]
                )
            scores.append(logits[:, 1].view(-1, self.depth))
        return torch.cat(scores)

    def right(self, setting: Setting) -> dict[str, NDArray[np.bool_]]:
        """Return per score which queries have the right candidate first.

        ``t2i itc`` and ``i2t itc`` rank the whole gallery; ``t2i itm`` and ``t2i itm+itc`` rank the
        lists, where a text whose picture is not among them counts as wrong.
        """
        itc, itm = self.itc(setting), self.itm(setting)
        rows = torch.arange(len(itc))
        both = itm + itc.gather(1, self.lists)
        first = {
            "t2i itc": itc.argmax(dim=1),
            "i2t itc": itc.argmax(dim=0),
            "t2i itm": self.lists[rows, itm.argmax(dim=1)],
            "t2i itm+itc": self.lists[rows, both.argmax(dim=1)],
        }
        return {name: (found == rows).numpy() for name, found in first.items()}

    def perturbation(self, setting: Setting) -> Perturbation | None:
        """Return what a setting adds to the queries of every picture; None for the baseline.

        Constant weights make it proportional to alpha: subspaces are found once for all of them.
        """
        if setting.alpha == 0:
            return None
        one = replace(setting, alpha=1.0)
        if one not in self._known:
            self._known[one] = perturbation(
                self.model,
                self.vision,
                self.boxes[one.boxes],
                alpha=one.alpha,
                n_pc=one.n_pc,
                projector=one.projector,
            )
        matrices = self._known[one].matrices
        return Perturbation({layer: setting.alpha * each for layer, each in matrices.items()})

    def listed(self) -> float:
        """Return the share of texts whose picture is in their list."""
        return float(
            (self.lists == torch.arange(len(self.lists))[:, None]).any(dim=1).float().mean()
        )

    def attention(self, setting: Setting) -> NDArray[np.float32]:
        """Return ``[pictures, patches]``: where the queries look in ITC, mean over all else."""
        looks = attention_maps(
            self.model,
            self.vision,
            lambda: picture_embeddings(self.model, self.vision),
            self.perturbation(setting),
        )
        mean = torch.stack([each.mean(dim=(1, 2)) for each in looks.values()]).mean(dim=0)
        return np.asarray(mean[:, 1:].numpy(), np.float32)

    def attention_on(self, attention: NDArray[np.float32]) -> float:
        """Return the mean share of the attention that lies on the mentioned things' boxes."""
        grid = round(attention.shape[1] ** 0.5)
        shares = np.stack(
            [patch_shares(pair, grid).sum(axis=0).clip(0, 1) for pair in self.boxes["mentioned"]]
        )
        return float((attention * shares).sum(axis=1).mean())

    def _perturbed(self, moved: Perturbation | None) -> AbstractContextManager[None]:
        return nullcontext() if moved is None else perturbed(self.model, moved)
