"""An encoder and one modality, with items to try it on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossrank._items.item import Item
from crossrank.plugin.contract import Encoder
from crossrank.testing._check import require
from crossrank.testing._data import make_items
from crossrank.testing._differences import ItemFeatures


@dataclass(frozen=True, slots=True)
class EncoderCase:
    """What every check of an encoder starts from: a class, its parameters, and a modality.

    `built` returns the encoder, the same one for all checks: loading weights may take long.
    """

    kind: type[Encoder]
    params: Mapping[str, Any]
    built: Callable[[], Encoder]
    modality: str

    def build(self) -> Encoder:
        """Return the encoder, built anew."""
        return self.kind(**self.params)

    @property
    def features(self) -> tuple[str, ...]:
        """All features of this modality that the encoder says it gives."""
        return tuple(self.kind.info.features[self.modality])

    def items(self) -> list[Item]:
        """Return a few items, made anew."""
        return make_items(self.modality)

    def batch(
        self,
        items: Sequence[Item] | None = None,
        features: Sequence[str] | None = None,
        encoder: Encoder | None = None,
    ) -> dict[str, Any]:
        """Return what the encoder gives for some items in one batch."""
        given = self.items() if items is None else items
        asked = self.features if features is None else tuple(features)
        maker = self.built() if encoder is None else encoder
        made = maker.encode_batch(given, self.modality, asked)
        for name in asked:
            require(name in made, f"it was asked for {name!r} and did not return it")
            require(
                len(made[name]) == len(given),
                f"it returned {len(made[name])} entries of {name!r} for {len(given)} "
                f"{self.modality}s; return one per item",
            )
        return {name: made[name] for name in asked}

    def entries(
        self,
        items: Sequence[Item] | None = None,
        *,
        features: Sequence[str] | None = None,
        size: int | None = None,
        encoder: Encoder | None = None,
    ) -> ItemFeatures:
        """Return the features of each item by its id, from batches of `size` or a single one."""
        given = self.items() if items is None else items
        step = len(given) if size is None else size
        found: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(given), step):
            part = given[start : start + step]
            made = self.batch(part, features, encoder)
            for row, item in enumerate(part):
                found[str(item.id)] = {name: feature[row] for name, feature in made.items()}
        return found
