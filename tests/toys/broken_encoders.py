"""Encoders that break one promise each."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

import crossrank as cr
from toys.basic import ToyEncoder


class Changed(ToyEncoder):
    """A toy encoder whose features are changed afterwards."""

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        made = dict(super().encode_batch(items, modality, features))
        for name in made:
            made[name] = self.change(name, made[name])
        return made

    def change(self, name: str, feature: Any) -> Any:
        return feature


class ForgetsAFeature(Changed):
    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        made = dict(super().encode_batch(items, modality, features))
        made.pop("tokens", None)
        return made


class LosesAnItem(Changed):
    def change(self, name: str, feature: Any) -> Any:
        return feature[:-1] if name == "embedding" else feature


class GivesLists(Changed):
    def change(self, name: str, feature: Any) -> Any:
        return list(feature) if name == "tokens" else feature


class GivesMatrices(Changed):
    def change(self, name: str, feature: Any) -> Any:
        return feature[:, :, None] if name == "embedding" else feature


class GivesNaN(Changed):
    def change(self, name: str, feature: Any) -> Any:
        return feature * np.float32(np.nan) if name == "embedding" else feature


class IsNotUnit(Changed):
    def change(self, name: str, feature: Any) -> Any:
        return 2 * feature if name == "embedding" else feature


class BoxesInPixels(Changed):
    def change(self, name: str, feature: Any) -> Any:
        if name != "token_boxes":
            return feature
        return cr.Ragged(feature.flat * 640, feature.lengths)


class BoxesWithWidths(Changed):
    def change(self, name: str, feature: Any) -> Any:
        if name != "token_boxes":
            return feature
        flat = np.concatenate([feature.flat[:, :2], np.full((len(feature.flat), 2), 0.1)], axis=1)
        return cr.Ragged(flat, feature.lengths)


class TokensWithoutTexts(Changed):
    def change(self, name: str, feature: Any) -> Any:
        return [own[1:] for own in feature] if name == "token_text" else feature


class HeightFirst(Changed):
    def change(self, name: str, feature: Any) -> Any:
        return feature[:, ::-1] if name == "size" else feature


class DependsOnBatchSize(Changed):
    def change(self, name: str, feature: Any) -> Any:
        return np.roll(feature, len(feature), axis=1) if name == "embedding" else feature


class Sorts(ToyEncoder):
    """Sorts texts by length for speed, and does not put them back."""

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        if modality == "text":
            items = sorted(items, key=lambda item: len(item.text or ""))
        return super().encode_batch(items, modality, features)


class MixesFeatures(ToyEncoder):
    """Computes an embedding otherwise where tokens are asked for too."""

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        made = dict(super().encode_batch(items, modality, features))
        if "embedding" in made and "tokens" in made:
            made["embedding"] = -made["embedding"]
        return made


class IsNotDeterministic(Changed):
    def change(self, name: str, feature: Any) -> Any:
        if name != "embedding":
            return feature
        return np.random.default_rng().permuted(feature, axis=1)


class PaintsOver(ToyEncoder):
    """Shrinks open pictures in place."""

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        made = super().encode_batch(items, modality, features)
        for item in items:
            if isinstance(item.image, Image.Image):
                item.image.thumbnail((2, 2))
        return made


class ReversesTheList(ToyEncoder):
    """Turns the caller's list around."""

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        made = super().encode_batch(items, modality, features)
        if isinstance(items, MutableSequence):
            items.reverse()
        return made


class Prints(Changed):
    def change(self, name: str, feature: Any) -> Any:
        print(name)  # noqa: T201  # the defect under test
        return feature


class OneIsSpecial(Changed):
    def change(self, name: str, feature: Any) -> Any:
        return list(feature) if name == "embedding" and len(feature) == 1 else feature


class FailsOnPunctuation(ToyEncoder):
    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        if modality == "text" and any(item.text == "?!" for item in items):
            raise IndexError("list index out of range")
        return super().encode_batch(items, modality, features)


class SeesTransparency(ToyEncoder):
    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        made = dict(super().encode_batch(items, modality, features))
        if "embedding" in made and modality == "image":
            for row, item in enumerate(items):
                if isinstance(item.image, Image.Image) and item.image.mode == "RGBA":
                    made["embedding"][row] *= -1
        return made


class CannotBeStored(Changed):
    def change(self, name: str, feature: Any) -> Any:
        return [set(own) for own in feature] if name == "token_text" else feature


class SidesApart(Changed):
    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        made = dict(super().encode_batch(items, modality, features))
        if modality == "text" and "embedding" in made:
            made["embedding"] = np.pad(made["embedding"], ((0, 0), (0, 1)))
        return made


class SwallowsParameters(ToyEncoder):
    def __init__(self, **params: Any) -> None:
        super().__init__()


class ChangingFingerprint(ToyEncoder):
    def fingerprint(self) -> str:
        return str(id(self))


@dataclass(frozen=True)
class Flip:
    flip: bool = False


class ForgetsAParameter(Changed):
    Parameters = Flip

    def change(self, name: str, feature: Any) -> Any:
        return -feature if name == "embedding" and self.params.flip else feature

    def fingerprint(self) -> str:
        return "flipped"


class LooseParameters(ToyEncoder):
    @dataclass
    class Parameters:
        flip: bool = False


class PromisesTooMuch(ToyEncoder):
    info = replace(ToyEncoder.info, default_features=("embedding", "regions"))


class BadModality(ToyEncoder):
    info = replace(ToyEncoder.info, features={**ToyEncoder.info.features, "audio": ("embedding",)})


class NoBatches(ToyEncoder):
    batch_size = 0
