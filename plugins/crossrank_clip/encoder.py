"""The encoder ``clip``: any CLIP-family checkpoint through transformers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import crossrank as cr
from crossrank.errors import InputError
from crossrank_clip.checkpoint import load_checkpoint
from crossrank_clip.parameters import ClipParameters
from crossrank_clip.source import identity

if TYPE_CHECKING:
    from PIL import Image

    from crossrank.plugin import Feature
    from crossrank_clip.checkpoint import Checkpoint
    from crossrank_clip.texts import Tokens

logger = logging.getLogger(__name__)


class ClipEncoder(cr.Encoder):
    """Pooled embeddings and projected patch and word tokens of a CLIP-family model.

    The model is loaded when the first batch is encoded.  Encoding is thread-safe.

    Parameters
    ----------
    **params
        See `ClipParameters`.

    Attributes
    ----------
    cut_texts : int
        How many texts were longer than the model allows, and were cut.

    References
    ----------
    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML
    2021; Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023.

    Examples
    --------
    >>> gallery = cr.encode("clip", paths, model="/models/clip")  # doctest: +SKIP
    """

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="clip",
        summary="CLIP, SigLIP, MetaCLIP, ChineseCLIP or AltCLIP checkpoints through transformers",
        features={
            "image": ("embedding", "tokens", "token_boxes", "regions", "boxes", "size"),
            "text": ("embedding", "tokens", "token_text", "words"),
        },
        default_features=("embedding", "tokens", "token_boxes", "token_text"),
        paper="Radford et al., ICML 2021; Zhai et al., ICCV 2023",
        extra="clip",
    )
    Parameters: ClassVar[type] = ClipParameters
    params: ClipParameters

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.cut_texts = 0
        self._checkpoint: Checkpoint | None = None
        self._lock = threading.Lock()

    def fingerprint(self) -> str:
        """Return a digest of what decides the features: the checkpoint and the float type.

        A folder is recognised by the content of its files, so that a copy counts as the same; a
        model of the hub by its name and revision.  The device does not matter.
        """
        source = identity(self.params)
        return cr.fingerprint([type(self).__qualname__, source, self.params.dtype])

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Feature]:
        """Return the features of some items; see `crossrank.Encoder.encode_batch`."""
        checkpoint = self._loaded()
        if modality == "image":
            from crossrank_clip.pictures import encode_pictures

            return encode_pictures(checkpoint, map(_open, items), features)
        from crossrank_clip.texts import encode_tokens

        return encode_tokens(checkpoint, self._tokenized(checkpoint, items), features)

    def _loaded(self) -> Checkpoint:
        with self._lock:
            if self._checkpoint is None:
                self._checkpoint = load_checkpoint(self.params)
            return self._checkpoint

    def _tokenized(self, checkpoint: Checkpoint, items: Sequence[cr.Item]) -> Tokens:
        from crossrank_clip.texts import longest, tokenize

        with self._lock:
            tokens = tokenize(checkpoint, [str(item.text) for item in items])
            level = logging.INFO if self.cut_texts else logging.WARNING
            self.cut_texts += tokens.cut
        if tokens.cut:
            logger.log(
                level,
                "clip: %d of %d texts are longer than the %d tokens the model can read, "
                "and were cut (%d so far)",
                tokens.cut,
                len(items),
                longest(checkpoint),
                self.cut_texts,
            )
        return tokens


def _open(item: cr.Item) -> Image.Image:
    if item.image is None:
        raise InputError(f"clip: the item {item.id!r} has no image")
    return cr.open_image(item.image)
