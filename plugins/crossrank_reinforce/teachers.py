"""A teacher that sees augmented pictures: an encoder around another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image

import crossrank as cr
from crossrank.errors import InputError, ParameterError
from crossrank_reinforce.augmentation import Augmentation

SEED = "augmentation_seed"
"""The feature of an item by which its picture is augmented."""


@dataclass(frozen=True, slots=True)
class AugmentedParameters:
    """Which encoder, and what is done to its pictures."""

    teacher: cr.Encoder
    augmentation: Augmentation


class AugmentedEncoder(cr.Encoder):
    """What an encoder makes of augmented pictures; each item brings the seed of its own."""

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="augmented",
        summary="another encoder's features of augmented pictures",
        features={"image": ("embedding",), "text": ()},
        default_features=("embedding",),
    )
    Parameters: ClassVar[type] = AugmentedParameters
    params: AugmentedParameters

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        known = self.params.teacher.info
        # an encoder's info is its class's; what this one gives depends on its teacher
        self.info = cr.EncoderInfo(  # type: ignore[misc]
            name=f"augmented-{known.name}",
            summary=self.info.summary,
            features={"image": known.features["image"], "text": ()},
            default_features=("embedding",),
        )
        self.batch_size = self.params.teacher.batch_size

    def fingerprint(self) -> str:
        """Return a digest of teacher and augmentation."""
        return cr.fingerprint(
            [type(self).__qualname__, self.params.teacher, self.params.augmentation]
        )

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, cr.Feature]:
        """Return the features of some items; see `crossrank.Encoder.encode_batch`."""
        seen = [cr.Item(item.id, image=self._augmented(item)) for item in items]
        return self.params.teacher.encode_batch(seen, modality, features)

    def _augmented(self, item: cr.Item) -> Image.Image:
        if item.image is None or SEED not in item.features:
            raise InputError(f"reinforce: the item {item.id!r} has no picture or no seed")
        seed = int(item.features[SEED])
        return self.params.augmentation(cr.open_image(item.image), seed)


def check_teacher(teacher: cr.Encoder, also: Sequence[str]) -> None:
    """Refuse an encoder that does not embed pictures and texts in one space."""
    for modality in ("image", "text"):
        for feature in ("embedding", *also):
            if feature not in teacher.info.features.get(modality, ()):
                raise ParameterError(
                    f"reinforce: the encoder {teacher.info.name!r} gives no {feature!r} of "
                    f"{modality}s; teachers embed both, as 'lite', 'clip' and 'openclip' do"
                )
