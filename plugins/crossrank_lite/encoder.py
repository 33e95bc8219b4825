"""The encoder ``lite``: two frozen towers out of PyPI packages and this project's small heads."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import crossrank as cr
from crossrank.plugin.encoding import CutTexts, Once, picture_of
from crossrank.plugin.files import file_digest
from crossrank.plugin.parameters import check, one_of
from crossrank_lite.packages import require

if TYPE_CHECKING:
    from crossrank.plugin import Feature
    from crossrank_lite.models import Models

HEADS = Path(__file__).with_name("heads.safetensors")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiteParameters:
    """Parameters of the encoder.

    Parameters
    ----------
    heads
        The file of trained heads; the one that ships with the package by default. Another one
        comes from ``research/train_lite.py``.
    text_dtype
        ``"bfloat16"`` lets a processor that multiplies bfloat16 read captions faster; what comes
        of it is close to the features in float32, and not the same: see docs/speed.md.
    """

    heads: str | Path = HEADS
    text_dtype: str = "float32"

    def __post_init__(self) -> None:
        check("lite", self, text_dtype=one_of("float32", "bfloat16"))


class LiteEncoder(cr.Encoder):
    """Embeddings and tokens from EfficientNet-Lite0 cells and MiniLM words.

    A picture is squeezed into 288×288 pixels and seen as a grid of 9×9 cells; the tokens of a text
    are its words. Both models are loaded when the first batch of their side is encoded; nothing is
    fetched from anywhere. Encoding is thread-safe and computes on the CPU, in float32.

    Parameters
    ----------
    **params
        See `LiteParameters`.

    References
    ----------
    Tan and Le, "EfficientNet", ICML 2019; Wang et al., "MiniLM", NeurIPS 2020.

    Examples
    --------
    >>> gallery = cr.encode("lite", paths)  # doctest: +SKIP
    """

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="lite",
        summary="EfficientNet-Lite0 cells and MiniLM words from PyPI, with heads trained here",
        features={
            "image": ("embedding", "tokens", "token_boxes", "regions", "boxes", "size"),
            "text": ("embedding", "tokens", "token_text", "words"),
        },
        default_features=("embedding", "tokens", "token_boxes", "token_text"),
        paper="Tan and Le, ICML 2019; Wang et al., NeurIPS 2020",
        extra="lite",
    )
    Parameters: ClassVar[type] = LiteParameters
    params: LiteParameters
    batch_size = 64

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._cut = CutTexts("lite", logger)
        self._loaded = Once(self._load)

    @property
    def cut_texts(self) -> int:
        """How many texts were longer than the model can read (256 word pieces), and were cut."""
        return self._cut.count

    def fingerprint(self) -> str:
        """Return a digest of what decides the features: the content of the heads' file.

        The towers are those of packages whose versions the extra ``lite`` pins.
        """
        dtype = self.params.text_dtype
        other = () if dtype == "float32" else (dtype,)  # features stored before it could be chosen
        content = file_digest("lite", self.params.heads)
        return _fingerprint(type(self).__qualname__, content, *other)

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Feature]:
        """Return the features of some items; see `crossrank.Encoder.encode_batch`."""
        models = self._loaded()
        if modality == "image":
            return models.of_pictures(map(partial(picture_of, "lite"), items), features)
        made, cut = models.of_texts([str(item.text) for item in items], features)
        self._cut.add(cut, len(items), "the 256 word pieces the model can read")
        return made

    def _load(self) -> Models:
        require("torch")
        from crossrank_lite.models import Models

        return Models(Path(self.params.heads), self.params.text_dtype)


@lru_cache(maxsize=8)
def _fingerprint(*parts: str) -> str:
    return cr.fingerprint(parts)
