"""The encoder ``openclip``: any model of open_clip."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import crossrank as cr
from crossrank.plugin.encoding import CutTexts, Once, pictures_of
from crossrank_openclip.parameters import OpenClipParameters, identity

if TYPE_CHECKING:
    from crossrank_clip.texts import Tokens
    from crossrank_openclip.checkpoint import Checkpoint

logger = logging.getLogger(__name__)


class OpenClipEncoder(cr.Encoder):
    """Pooled embeddings and projected patch and word tokens of a model of open_clip.

    The model is loaded when the first batch is encoded.  Encoding is thread-safe.

    Parameters
    ----------
    **params
        See `OpenClipParameters`.

    References
    ----------
    Cherti et al., "Reproducible Scaling Laws for Contrastive Language-Image Learning", CVPR 2023;
    Vasu et al., "MobileCLIP", CVPR 2024; Zhang et al., "RS5M and GeoRSCLIP", IEEE TGRS 2024.

    Examples
    --------
    >>> gallery = cr.encode(
    ...     "openclip", paths, model="MobileCLIP-S1", pretrained="datacompdr", reparameterize=True
    ... )  # doctest: +SKIP
    """

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="openclip",
        summary="any model of open_clip: MobileCLIP, GeoRSCLIP, OpenCLIP, SigLIP and others",
        features={
            "image": ("embedding", "tokens", "token_boxes", "regions", "boxes", "size"),
            "text": ("embedding", "tokens", "token_text", "words"),
        },
        default_features=("embedding", "tokens", "token_boxes", "token_text"),
        paper="Cherti et al., CVPR 2023; Vasu et al., CVPR 2024; Zhang et al., IEEE TGRS 2024",
        extra="openclip",
    )
    Parameters: ClassVar[type] = OpenClipParameters
    params: OpenClipParameters

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._cut = CutTexts("openclip", logger)
        self._loaded = Once(self._load)
        self._tokenizing = threading.Lock()

    @property
    def cut_texts(self) -> int:
        """How many texts were longer than the model allows, and were cut."""
        return self._cut.count

    def fingerprint(self) -> str:
        """Return a digest of what decides the features.

        A file or folder is recognised by its content, a tag and a model of the hub by name.  The
        device does not matter; merged branches do, in the last digits of raw states.
        """
        params = self.params
        choices = (params.quick_gelu, params.preprocess, params.reparameterize)
        source = [identity(params), *choices, params.prompt, params.dtype]
        return cr.fingerprint([type(self).__qualname__, source])

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, cr.Feature]:
        """Return the features of some items; see `crossrank.Encoder.encode_batch`."""
        checkpoint = self._loaded()
        if modality == "image":
            from crossrank_openclip.pictures import encode_pictures

            return encode_pictures(checkpoint, pictures_of("openclip", items), features)
        from crossrank_openclip.texts import encode_tokens

        return encode_tokens(checkpoint, self._tokenized(checkpoint, items), features)

    def _load(self) -> Checkpoint:
        from crossrank_openclip.checkpoint import load_checkpoint

        return load_checkpoint(self.params)

    def _tokenized(self, checkpoint: Checkpoint, items: Sequence[cr.Item]) -> Tokens:
        from crossrank_openclip.texts import tokenize

        texts = [self.params.prompt.replace("{}", str(item.text)) for item in items]
        with self._tokenizing:
            tokens = tokenize(checkpoint.tokenizer, texts)
        limit = f"the {checkpoint.tokenizer.context_length} tokens the model can read"
        self._cut.add(tokens.cut, len(items), limit)
        return tokens
