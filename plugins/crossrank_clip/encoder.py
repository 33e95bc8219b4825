"""The encoder ``clip``: any CLIP-family checkpoint through transformers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import crossrank as cr
from crossrank.plugin.encoding import CutTexts, Once, pictures_of
from crossrank_clip.checkpoint import load_checkpoint, source_of
from crossrank_clip.parameters import ClipParameters

if TYPE_CHECKING:
    from crossrank_clip.checkpoint import Loaded
    from crossrank_clip.texts import Tokens

logger = logging.getLogger(__name__)


class ClipEncoder(cr.Encoder):
    """Pooled embeddings and projected patch and word tokens of a CLIP-family model.

    The model is loaded when the first batch is encoded.  Encoding is thread-safe.

    Parameters
    ----------
    **params
        See `ClipParameters`.

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
        self._cut = CutTexts("clip", logger)
        self._loaded = Once(lambda: load_checkpoint(self.params))
        self._tokenizing = threading.Lock()  # padding is a setting of the tokenizer

    @property
    def cut_texts(self) -> int:
        """How many texts were longer than the model allows, and were cut."""
        return self._cut.count

    def fingerprint(self) -> str:
        """Return a digest of what decides the features: the checkpoint and the float type.

        A folder is recognised by the content of its files, so that a copy counts as the same; a
        model of the hub by its name and revision.  The device does not matter.
        """
        source = source_of(self.params).identity()
        return cr.fingerprint([type(self).__qualname__, source, self.params.dtype])

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, cr.Feature]:
        """Return the features of some items; see `crossrank.Encoder.encode_batch`."""
        loaded = self._loaded()
        if modality == "image":
            from crossrank_clip.pictures import encode_pictures

            return encode_pictures(loaded, pictures_of("clip", items), features)
        from crossrank_clip.texts import encode_tokens

        return encode_tokens(loaded, self._tokenized(loaded, items), features)

    def _tokenized(self, loaded: Loaded, items: Sequence[cr.Item]) -> Tokens:
        from crossrank_clip.texts import longest, tokenize

        with self._tokenizing:
            tokens = tokenize(loaded, [str(item.text) for item in items])
        limit = f"the {longest(loaded)} tokens the model can read"
        self._cut.add(tokens.cut, len(items), limit)
        return tokens
