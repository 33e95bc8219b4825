"""The encoder ``composed``: late fusion of a picture and a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

import crossrank as cr
from crossrank.errors import MissingFeatureError, ParameterError
from crossrank.plugin.encoders import as_encoder
from crossrank.plugin.parameters import at_least, check, instance_of
from crossrank.plugin.unit_rows import unit

OF_WORDS = ("tokens", "token_text", "words")


@dataclass(frozen=True, slots=True)
class ComposedParameters:
    """Whose features are fused, and how.

    Parameters
    ----------
    encoder
        The name of an encoder with its default parameters, or a ready one, which gives pictures and
        texts an ``embedding`` in one space.
    picture, text
        The weights of a query's picture and text, not negative and not both 0; only their ratio
        matters.  The default was tuned on the validation split of Flickr8k's edits.

    Raises
    ------
    ParameterError
        If a value is of the wrong type or out of range.
    """

    encoder: str | cr.Encoder = "lite"
    picture: float = 0.35
    text: float = 0.65

    def __post_init__(self) -> None:
        encoder = instance_of(str, cr.Encoder, give="the name of one, or an Encoder")
        check("composed", self, encoder=encoder, picture=at_least(0), text=at_least(0))
        if self.picture == self.text == 0:
            raise ParameterError("composed: picture and text are both 0; give one some weight")


def fuse(pictures: ArrayLike, texts: ArrayLike, picture: float, text: float) -> NDArray[np.float32]:
    """Return ``[N, D]`` unit rows of weighted sums; opposite rows that cancel out stay zero."""
    sums = picture * np.asarray(pictures, np.float64) + text * np.asarray(texts, np.float64)
    return unit(sums).astype(np.float32)


class ComposedEncoder(cr.Encoder):
    """Pictures and texts as another encoder gives them, and both together as their weighted sum.

    The tokens of a picture with a text are those of its text: what late interaction looks for in a
    candidate is what the edit says.

    Parameters
    ----------
    **params
        See `ComposedParameters`.
    """

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="composed",
        summary="a picture with an edit in words: late fusion of another encoder's embeddings",
        features={
            "image": ("embedding", "tokens", "token_boxes", "regions", "boxes", "size"),
            "text": ("embedding", *OF_WORDS),
            "image+text": ("embedding", *OF_WORDS),
        },
        default_features=("embedding", "tokens", "token_boxes", "token_text"),
        extra="lite",
    )
    Parameters: ClassVar[type] = ComposedParameters
    params: ComposedParameters

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        own = self.params.encoder
        self.base = as_encoder(own, {})
        self.batch_size = self.base.batch_size
        for modality in ("image", "text"):
            if "embedding" not in self.base.info.features.get(modality, ()):
                raise ParameterError(
                    f"composed: the encoder {self.base.info.name!r} gives no embedding of "
                    f"{modality}s; give one for both, such as 'lite' or 'clip'"
                )

    def fingerprint(self) -> str:
        """Return a digest of the encoder that is fused and of the weights."""
        share = self.params.picture / (self.params.picture + self.params.text)
        return cr.fingerprint([type(self).__qualname__, self.base, share])

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, cr.Feature]:
        """Return the features of some items; see `crossrank.Encoder.encode_batch`."""
        side = "text" if modality == "image+text" else modality
        for name in features:
            if name not in self.base.info.features[side]:
                raise MissingFeatureError(
                    f"composed: the encoder {self.base.info.name!r} gives no {name!r} of {side}s"
                )
        found = dict(self.base.encode_batch(items, side, features))
        if modality == "image+text" and "embedding" in features:
            seen = self.base.encode_batch(items, "image", ("embedding",))["embedding"]
            params = self.params
            said: Any = found["embedding"]
            shown: Any = seen
            found["embedding"] = fuse(shown, said, params.picture, params.text)
        return found
