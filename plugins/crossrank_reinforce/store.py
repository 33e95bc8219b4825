"""A reinforced data set on disk: seeds, variants and the embeddings of teachers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, StoreError
from crossrank.plugin.files import read_json
from crossrank.plugin.unit_rows import unit
from crossrank_reinforce.augmentation import seed_of
from crossrank_reinforce.pairs import Pairs

MANIFEST = "store.json"
FORMAT = "crossrank-reinforced/1"
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Targets:
    """What a teacher makes of a batch.

    Parameters
    ----------
    images, texts
        ``[B, D]`` float32 unit rows.
    scale
        κ, by which its similarities are multiplied before the softmax.
    """

    images: Floats
    texts: Floats
    scale: float


class Store:
    """A reinforced data set.

    Parameters
    ----------
    folder
        What `reinforce` wrote.

    Attributes
    ----------
    plan : Mapping
        What it was made of: ``teachers`` (name, fingerprint, scale), ``data``, ``augmentation``,
        ``views``, ``variants``, ``seed``.
    image_ids, text_ids : tuple of str
        The N pictures and M texts.
    text_to_image : ndarray
        ``[M]`` the picture that a text belongs to.

    Raises
    ------
    StoreError
        If the folder is no complete store.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.plan = read_plan(self.folder / MANIFEST)
        teachers = range(len(self.plan["teachers"]))
        self._images = [self._open(f"images-{each}") for each in teachers]
        self._texts = [self._open(f"texts-{each}") for each in teachers]
        views, variants = self.views, self.variants
        self.image_ids = tuple(id.rpartition("@")[0] for id in self._images[0].ids[::views])
        self.text_ids = tuple(id.rpartition("@")[0] for id in self._texts[0].ids[::variants])
        self.text_to_image = np.asarray(self._texts[0]["image_row"], np.int64)[::variants]
        for sides, count in ((self._images, views), (self._texts, variants)):
            for side in sides:
                if side.ids != sides[0].ids or len(side) % count:
                    raise self._damaged("its teachers saw different items")

    @property
    def views(self) -> int:
        """n, augmentations of each picture."""
        return int(self.plan["views"])

    @property
    def variants(self) -> int:
        """m, wordings of each text, itself first."""
        return int(self.plan["variants"])

    def seed(self, image: int, view: int) -> int:
        """Return the seed by which the augmentation makes a view of a picture again."""
        return seed_of(self.plan["seed"], self.image_ids[image], view)

    def text(self, text: int, variant: int) -> str:
        """Return a wording of a text."""
        return str(self._texts[0]["text"][text * self.variants + variant])

    def targets(
        self, images: ArrayLike, views: ArrayLike, texts: ArrayLike, variants: ArrayLike
    ) -> list[Targets]:
        """Return what every teacher makes of a batch.

        Parameters
        ----------
        images, views
            ``[B]`` rows of pictures, and which augmentation of each.
        texts, variants
            ``[B]`` rows of texts, and which wording of each.
        """
        rows = self.rows("image", images, views)
        own = self.rows("text", texts, variants)
        return [
            Targets(
                unit(np.asarray(shown["embedding"][rows], np.float32)),
                unit(np.asarray(said["embedding"][own], np.float32)),
                each["scale"],
            )
            for shown, said, each in zip(
                self._images, self._texts, self.plan["teachers"], strict=True
            )
        ]

    def feature(self, modality: str, name: str, teacher: int = 0) -> Any:
        """Return a feature that was stored besides, ``[N · n, …]`` or ``[M · m, …]``."""
        return (self._images if modality == "image" else self._texts)[teacher][name]

    def rows(self, modality: str, items: ArrayLike, numbers: ArrayLike) -> NDArray[np.int64]:
        """Return where views of pictures, or variants of texts, lie in `feature`.

        Raises
        ------
        InputError
            If one is out of range.
        """
        per, count = (
            (self.views, len(self.image_ids))
            if modality == "image"
            else (self.variants, len(self.text_ids))
        )
        found, number = np.asarray(items, np.int64), np.asarray(numbers, np.int64)
        if found.size and not (found.min() >= 0 and found.max() < count):
            raise InputError(f"reinforce: {self.folder} has {count} {modality}s; a row is beyond")
        if number.size and not (number.min() >= 0 and number.max() < per):
            raise InputError(f"reinforce: {self.folder} has {per} of each {modality}; not one more")
        return found * per + number

    def check(
        self,
        teachers: Sequence[cr.Encoder] | None = None,
        pairs: Pairs | None = None,
        augmentation: Any = None,
    ) -> None:
        """Refuse a store of other teachers, of another data set, or of other augmentations.

        Parameters
        ----------
        teachers, pairs, augmentation
            What is expected; None for whatever it is.

        Raises
        ------
        FeatureMismatchError
            Saying which of them is another.
        """
        expected: dict[str, Any] = {}
        if teachers is not None:
            scales = [each["scale"] for each in self.plan["teachers"]]
            padded = [*scales, *[0.0] * len(teachers)]
            expected["teachers"] = teachers_plan(teachers, padded[: len(teachers)])
        if pairs is not None:
            expected["data"] = pairs.fingerprint()
        if augmentation is not None:
            expected["augmentation"] = cr.fingerprint(augmentation)
        differing = difference(self.plan, expected)
        if differing:
            raise FeatureMismatchError(
                f"reinforce: {self.folder} was made {differing}; make a store of these, or train "
                "with what it was made of"
            )

    def _open(self, name: str) -> cr.Collection:
        try:
            return cr.Collection.open(self.folder / name)
        except StoreError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            f"reinforce: {self.folder} is no complete store: {what}; make it again with crossrank "
            "reinforce"
        )


def read_plan(path: Path) -> dict[str, Any]:
    """Read what a store is made of."""
    try:
        plan = read_json(path)
        if not isinstance(plan, dict) or plan.get("format") != FORMAT:
            raise ValueError(f"it is not of the format {FORMAT}")
        for name in ("views", "variants", "seed", "teachers", "data", "augmentation"):
            if name not in plan:
                raise ValueError(f"{name} is missing")
    except (OSError, ValueError) as error:
        raise StoreError(
            f"reinforce: {path} cannot be read: {error}; give the folder that crossrank reinforce "
            "wrote"
        ) from error
    return plan


def teachers_plan(teachers: Sequence[cr.Encoder], scales: Sequence[float]) -> list[dict[str, Any]]:
    """Return what a store keeps of its teachers."""
    return [
        {"name": each.info.name, "fingerprint": each.fingerprint(), "scale": float(scale)}
        for each, scale in zip(teachers, scales, strict=True)
    ]


def difference(plan: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Return in words how a store differs from what is expected; "" where it does not."""
    said = []
    for name, value in expected.items():
        if plan.get(name) == value:
            continue
        if name == "teachers":
            before, now = (", ".join(e["name"] for e in each) for each in (plan[name], value))
            which = f"{before}, not {now}" if before != now else f"{before} with other weights"
            said.append(f"by other teachers ({which})")
        elif name == "data":
            said.append("of another data set (other pictures, texts, or their order)")
        else:
            said.append(f"with another {name}")
    return " and ".join(said)
