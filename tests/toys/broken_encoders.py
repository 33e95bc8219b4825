"""Encoders that break one promise each."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_info

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


class UsesABufferAgain(Changed):
    """Returns views of one array."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.buffer = np.zeros((1 << 10, 8), np.float32)

    def change(self, name: str, feature: Any) -> Any:
        if name != "embedding":
            return feature
        self.buffer[: len(feature)] = feature
        return self.buffer[: len(feature)]


class KeepsWhatItReturned(ToyEncoder):
    """Returns the arrays that it will return again."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.known: dict[str, Any] = {}

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        if modality != "text":
            return super().encode_batch(items, modality, features)
        key = repr([modality, *features, *(item.text for item in items)])
        if key not in self.known:
            self.known[key] = super().encode_batch(items, modality, features)
        return dict(self.known[key])


class Drifts(Changed):
    """Is another after a hundred calls."""

    calls = 0

    def change(self, name: str, feature: Any) -> Any:
        if name != "embedding":
            return feature
        self.calls += 1
        return feature if self.calls % 105 else -feature


class CachesById(ToyEncoder):
    """Remembers texts by their ids, which name other things elsewhere."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.known: dict[str, cr.Item] = {}

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        known = [self.known.setdefault(f"{modality} {item.id}", item) for item in items]
        return super().encode_batch(known, modality, features)


class HashesIds(ToyEncoder):
    """Tells items apart by hash(), which differs from process to process."""

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        made = dict(super().encode_batch(items, modality, features))
        if "embedding" in made:
            signs = [1 - 2 * (hash(item.id) % 2) for item in items]
            made["embedding"] = made["embedding"] * np.array(signs, np.float32)[:, None]
        return made


class WrongBeyond64(Changed):
    """Fills one tile."""

    def change(self, name: str, feature: Any) -> Any:
        if name == "embedding":
            feature[64:] = np.roll(feature[64:], 1, axis=1)
        return feature


class CountsThreads(Changed):
    """Adds up in as many parts as there are threads, carelessly."""

    def change(self, name: str, feature: Any) -> Any:
        if name != "embedding":
            return feature
        most = max((each["num_threads"] for each in threadpool_info()), default=1)
        return feature if most != 2 else np.roll(feature, 1, axis=1)
