"""The two stages of the tiny BLIP-2's training: sight alone, then ITC and ITM on frozen sight.

BLIP-2 comes with a vision encoder that was trained before and stays frozen. Here it learns to say
of every patch which thing covers it: colour, shape and box.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from tiny_blip2_model import (
    itm_logits,
    make_tokenizer,
    picture_embeddings,
    pixels,
    text_embeddings,
    vision_features,
)
from tiny_blip2_scenes import (
    COLOURS,
    SHAPES,
    Fact,
    Scene,
    allowed,
    boxes_of,
    caption,
    pair,
)

PER_PAIR = 2
"""Captions of one pair of kinds in a batch: what tells them apart is mostly how the two lie."""


class SightStage(nn.Module):
    """The vision encoder with a head that names what covers each patch.

    Parameters
    ----------
    model
        The BLIP-2 whose vision encoder learns.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.vision: nn.Module = model.vision_model
        width: int = model.config.vision_config.hidden_size
        self.head = nn.Linear(width, len(COLOURS) + 1 + len(SHAPES) + 4)

    def loss(self, data: Labelled, rows: NDArray[np.int64]) -> torch.Tensor:
        """Return the mean error over covered patches, in colour, shape and box, and over others."""
        kinds, boxes = data.kinds[rows], data.boxes[rows]
        seen = self.vision(pixel_values=data.pixels[rows])
        found = self.head(seen.last_hidden_state[:, 1:])
        colour, shape, box = found.split([len(COLOURS) + 1, len(SHAPES), 4], dim=-1)
        some, nothing = kinds >= 0, len(COLOURS)
        empty = colour[~some]
        return (
            functional.cross_entropy(colour[some], kinds[some] // len(SHAPES))
            + functional.cross_entropy(shape[some], kinds[some] % len(SHAPES))
            + 4 * functional.l1_loss(box[some], boxes[some])
            + functional.cross_entropy(empty, torch.full((len(empty),), nothing))
        )


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures with what covers each of their patches.

    Parameters
    ----------
    pixels
        ``[n, 3, SIZE, SIZE]``.
    kinds
        ``[n, patches]``: the kind that covers a patch most, or -1.
    boxes
        ``[n, patches, 4]``: the box of that thing.
    """

    pixels: torch.Tensor
    kinds: torch.Tensor
    boxes: torch.Tensor

    @classmethod
    def of(cls, scenes: Sequence[Scene], grid: int) -> Labelled:
        """Label the patches of some scenes."""
        kinds, boxes = zip(*(covering(scene, grid) for scene in scenes), strict=True)
        return cls(
            pixels([scene.picture for scene in scenes]),
            torch.from_numpy(np.stack(kinds)),
            torch.from_numpy(np.stack(boxes)),
        )


def covering(scene: Scene, grid: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return per patch the kind that covers it most, or -1, and the box of that thing."""
    boxes = boxes_of(scene.things)
    share = patch_shares(boxes, grid)
    most = share.argmax(axis=0)
    kinds = np.array([thing.kind for thing in scene.things], np.int64)[most]
    kinds[share.max(axis=0) == 0] = -1
    return kinds, boxes[most]


def patch_shares(boxes: NDArray[np.float32], grid: int) -> NDArray[np.float32]:
    """Return ``[n, grid²]``: how much of each patch each box covers."""
    edges = np.arange(grid) / grid
    sides = [
        np.clip(
            np.minimum(boxes[:, [axis + 2]], edges + 1 / grid)
            - np.maximum(boxes[:, [axis]], edges),
            0,
            None,
        )
        for axis in (0, 1)
    ]
    shares = sides[1][:, :, None] * sides[0][:, None, :] * grid**2
    return np.asarray(shares.reshape(len(boxes), -1), np.float32)


@dataclass(frozen=True, slots=True)
class Captioned:
    """Training pictures with all that may be said of them.

    Parameters
    ----------
    scenes
        The pictures.
    vision
        ``[n, 1 + patches, width]``: what the frozen encoder gives of them.
    by_pair
        For each pair of kinds, the rows of pictures that a caption may name it of, with the fact.
    """

    scenes: Sequence[Scene]
    vision: torch.Tensor
    by_pair: Sequence[Sequence[tuple[int, Fact]]]

    @classmethod
    def of(cls, model: Any, scenes: Sequence[Scene]) -> Captioned:
        """Encode scenes and list the captions that training may use."""
        pairs, groups = allowed("train"), defaultdict[tuple[int, int], list[tuple[int, Fact]]](list)
        for row, scene in enumerate(scenes):
            for fact in scene.facts():
                if pair(fact) in pairs:
                    groups[pair(fact)].append((row, fact))
        large = [group for _, group in sorted(groups.items()) if len(group) >= PER_PAIR]
        vision = vision_features(model, [scene.picture for scene in scenes])
        return cls(scenes, vision.half(), large)

    def batch(self, rng: np.random.Generator, size: int) -> list[tuple[int, Fact]]:
        """Return pictures with a fact each, `PER_PAIR` of every pair of kinds."""
        chosen = rng.choice(len(self.by_pair), size // PER_PAIR, replace=False)
        return [
            self.by_pair[group][row]
            for group in chosen
            for row in rng.choice(len(self.by_pair[group]), PER_PAIR, replace=False)
        ]


class MatchingStage(nn.Module):
    """Query tokens, Q-Former, projections and ITM head: all of the model but the vision encoder.

    Parameters
    ----------
    model
        The BLIP-2; its vision encoder is frozen.
    temperature
        Of the contrast between the pictures and texts of a batch.
    """

    def __init__(self, model: Any, temperature: float = 0.07) -> None:
        super().__init__()
        self.model: Any = model
        self.temperature = temperature
        self.tokenizer = make_tokenizer()
        model.vision_model.requires_grad_(False)

    def loss(
        self,
        data: Captioned,
        batch: list[tuple[int, Fact]],
        rng: np.random.Generator,
        itm: float | None,
    ) -> torch.Tensor:
        """Return the loss of ITC, and with `itm` that of ITM with one negative a side.

        A negative is drawn with a chance that rises with its ITC score: not at all for `itm` 0, as
        BLIP-2 draws them for 1.
        """
        rows, facts = [row for row, _ in batch], [fact for _, fact in batch]
        turned = rng.random(len(facts)) < 0.5
        texts = [caption(fact, turned=bool(turn)) for fact, turn in zip(facts, turned, strict=True)]
        told = self.tokenizer(texts, padding=True, return_tensors="pt")
        ids, mask = told["input_ids"], told["attention_mask"]
        vision = data.vision[rows].float()
        shown = [data.scenes[row].facts() for row in rows]
        true = torch.tensor([[fact in known for fact in facts] for known in shown])

        pictures = picture_embeddings(self.model, vision)
        words = text_embeddings(self.model, ids, mask)
        table = (pictures @ words.T).amax(dim=1) / self.temperature
        target = torch.arange(len(batch))
        others = table.masked_fill(true & ~torch.eye(len(batch), dtype=torch.bool), -torch.inf)
        loss = (
            functional.cross_entropy(others, target) + functional.cross_entropy(others.T, target)
        ) / 2
        if itm is None:
            return loss
        wrong = (itm * table.detach()).masked_fill(true, -torch.inf)
        text = torch.multinomial(wrong.softmax(dim=1), 1).flatten()
        picture = torch.multinomial(wrong.T.softmax(dim=1), 1).flatten()
        logits = itm_logits(
            self.model,
            vision[torch.cat([target, target, picture])],
            ids[torch.cat([target, text, target])],
            mask[torch.cat([target, text, target])],
        )
        matches = torch.tensor([1, 0, 0]).repeat_interleave(len(batch))
        return loss + functional.cross_entropy(logits, matches)
