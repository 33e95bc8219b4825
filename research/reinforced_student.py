"""The student of `train_reinforced.py`, its teacher, and its training on a store."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

import crossrank as cr
from crossrank.evaluation import BothDirections
from crossrank_lite.encoder import LiteEncoder
from crossrank_lite.heads import load_heads
from crossrank_lite.models import embeddings
from crossrank_reinforce import SEED, Store, clip_loss, reinforced_loss
from training_epochs import schedule

BATCH, WIDTH, HIDDEN = 256, 128, 256
DECAY = 0.1
METRICS = ("R@1", "R@5", "R@10")
Floats = NDArray[np.float32]


class CellLite(cr.Encoder):
    """The teacher ``lite`` over stored cells and words; a view is a rectangle of the cells.

    That is a crop of the frozen features rather than of the pixels: the tower looks at a picture
    once, however many views are drawn.  Beside its embedding it gives the mean of what it saw, the
    student's frozen input.

    Parameters
    ----------
    features : Path
        Holds ``regions`` and ``texts``, what ``crossrank encode`` wrote with ``lite``.
    """

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="cell-lite",
        summary="lite over rectangles of stored cells",
        features={"image": ("embedding", "pooled"), "text": ("embedding", "pooled")},
        default_features=("embedding", "pooled"),
    )
    batch_size = 64

    def __init__(self, features: Path) -> None:
        super().__init__()
        self.lite = LiteEncoder()
        self.heads = load_heads(Path(self.lite.params.heads)).eval()
        self.pictures = cr.Collection.open(features / "regions")
        self.texts = cr.Collection.open(features / "texts")

    def fingerprint(self) -> str:
        """Return a digest of the teacher, and of whose features it reads."""
        known = [self.pictures.encoder, self.pictures.ids, self.texts.encoder, self.texts.ids]
        return cr.fingerprint([type(self).__qualname__, self.lite, known])

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, cr.Feature]:
        """Return the features of some items; see `crossrank.Encoder.encode_batch`."""
        ids = [str(item.id).rpartition("@")[0].replace(".jpg", "") for item in items]
        if modality == "text":
            rows = self.texts.rows(ids)
            made: dict[str, Any] = {
                "embedding": np.stack([self.texts["embedding"][row] for row in rows]),
                "pooled": pooled(self.texts["words"][row] for row in rows),
            }
            return {name: made[name] for name in features}
        seen = []
        for item, row in zip(items, self.pictures.rows(ids), strict=True):
            grid = np.asarray(self.pictures["regions"][row], np.float32)
            side = round(len(grid) ** 0.5)
            rows_of, columns = rectangle(side, int(item.features[SEED]))
            cut = grid.reshape(side, side, -1)[rows_of, columns]
            seen.append(np.ascontiguousarray(cut).reshape(-1, grid.shape[1]))
        made = {"pooled": pooled(seen)}
        if "embedding" in features:
            made["embedding"] = embeddings(
                self.heads.picture_embedding, self.heads.cells, seen, self.heads.sizes.embedding
            )
        return {name: made[name] for name in features}


def rectangle(side: int, seed: int) -> tuple[slice, slice]:
    """Return rows and columns of a part of a square grid, 40 to 100 % of it."""
    rng = np.random.default_rng(seed)
    share, stretch = rng.uniform(0.4, 1), np.exp(rng.uniform(-1, 1) * np.log(4 / 3) / 2)
    high, wide = (
        min(side, max(1, round(side * share**0.5 * each))) for each in (stretch, 1 / stretch)
    )
    top, left = (int(rng.integers(side - each + 1)) for each in (high, wide))
    return slice(top, top + high), slice(left, left + wide)


def pooled(parts: Iterable[Any]) -> Floats:
    """Return the mean of each item's rows."""
    return np.stack([np.asarray(each, np.float32).mean(axis=0) for each in parts])


class Student(nn.Module):
    """Two small perceptrons on pooled frozen features, into one space."""

    def __init__(self, images: Tensor, texts: Tensor) -> None:
        super().__init__()
        for name, each in (("image", images), ("text", texts)):
            self.register_buffer(f"{name}_mean", each.mean(dim=0))
            self.register_buffer(f"{name}_spread", each.std(dim=0).clamp(min=1e-2))
        self.image = head(images.shape[1])
        self.text = head(texts.shape[1])
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def embed(self, name: str, rows: Tensor) -> Tensor:
        """Return unit rows of pictures (``"image"``) or texts."""
        standard = (rows - self.get_buffer(f"{name}_mean")) / self.get_buffer(f"{name}_spread")
        return functional.normalize(self.get_submodule(name)(standard), dim=1)

    @property
    def scale(self) -> Tensor:
        """κ, at most 100 as in CLIP."""
        return self.log_scale.exp().clamp(max=100.0)


def head(features: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(features, HIDDEN), nn.GELU(), nn.Dropout(0.1), nn.Linear(HIDDEN, WIDTH)
    )


@dataclass(frozen=True, slots=True)
class Split:
    """Pooled features of whole pictures and their captions, five each."""

    images: Tensor
    texts: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one step: which pictures, views, texts and wordings."""

    images: NDArray[np.int64]
    views: NDArray[np.int64]
    texts: NDArray[np.int64]
    variants: NDArray[np.int64]


class Training:
    """A store, held in memory as tensors, and what is trained on it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.images = torch.from_numpy(np.asarray(store.feature("image", "pooled"), np.float32))
        self.texts = torch.from_numpy(np.asarray(store.feature("text", "pooled"), np.float32))
        owned: list[list[int]] = [[] for _ in store.image_ids]
        for text, image in enumerate(store.text_to_image):
            owned[image].append(text)
        self.owned = np.array(owned)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Draw pictures, none twice, a view and a caption of each."""
        images = rng.choice(len(self.store.image_ids), BATCH, replace=False)
        texts = self.owned[images, rng.integers(self.owned.shape[1], size=BATCH)]
        views = rng.integers(self.store.views, size=BATCH)
        return Batch(images, views, texts, rng.integers(self.store.variants, size=BATCH))

    def loss(self, student: Student, batch: Batch, weight: float | None) -> Tensor:
        """Return CLIP's loss without a store, or with λ the reinforced one."""
        rows = self.store.rows("image", batch.images, batch.views)
        own = self.store.rows("text", batch.texts, batch.variants)
        images = student.embed("image", self.images[torch.from_numpy(rows)])
        texts = student.embed("text", self.texts[torch.from_numpy(own)])
        if weight is None:
            own_loss: Tensor = clip_loss(images, texts, student.scale)
            return own_loss
        targets = self.store.targets(batch.images, batch.views, batch.texts, batch.variants)
        teachers = [
            (torch.from_numpy(each.images), torch.from_numpy(each.texts), each.scale)
            for each in targets
        ]
        both: Tensor = reinforced_loss(teachers, images, texts, student.scale, weight)
        return both

    def train(
        self, seed: int, steps: int, rate: float, weight: float | None
    ) -> tuple[Student, float]:
        """Return a trained student, and the processor seconds that its steps took."""
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        student = Student(self.images, self.texts)
        optimizer = torch.optim.AdamW(student.parameters(), lr=rate, weight_decay=DECAY)
        begun = time.process_time()
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = rate * schedule(step, steps)
            loss = self.loss(student, self.batch(rng), weight)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        return student.eval(), time.process_time() - begun


def measured(student: Student, split: Split) -> BothDirections:
    """Measure a student on a split, both directions."""
    with torch.no_grad():
        images = student.embed("image", split.images).double()
        texts = student.embed("text", split.texts).double()
    return cr.evaluate_matrix(
        (images @ texts.T).numpy(), captions_per_image=5, metrics=METRICS, resamples=0
    )


def read_split(features: Path, name: str) -> Split:
    regions = cr.Collection.open(features / name / "regions")["regions"]
    words = cr.Collection.open(features / name / "texts")["words"]
    return Split(torch.from_numpy(pooled(regions)), torch.from_numpy(pooled(words)))
