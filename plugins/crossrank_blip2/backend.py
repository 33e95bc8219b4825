"""What the reranker asks of a BLIP-2 model, whichever library it is from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from crossrank_blip2.texts import Tokens

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor


@runtime_checkable
class Backend(Protocol):
    """A BLIP-2 model for image–text retrieval, in evaluation mode.

    Gradients are the caller's choice: nothing here switches them off.
    """

    @property
    def model(self) -> Any:
        """The model itself, for those who hook into it."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def dtype(self) -> torch.dtype:
        """The float type of its vision output."""

    @property
    def image_size(self) -> int:
        """Height and width of its input, in pixels."""

    @property
    def embeds_shape(self) -> tuple[int, int]:
        """N and D of its vision output: class token and patches, and features."""

    @property
    def cross_attentions(self) -> tuple[Any, ...]:
        """The modules by which `itm_logits` looks at images, if it does so by nothing else.

        Each has linear layers `query`, `key` and `value`, split into `num_attention_heads`, and
        returns a tuple that the attended values ``[B, n, H]`` are first in.  Keys and values are
        then computed once per image; with ``()`` they are computed per pair.
        """

    def fingerprint(self) -> str:
        """Return a digest of what decides the vision output: weights, preprocessing, float type."""

    def pixels(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return ``[B, 3, S, S]`` float32 of B upright RGB images, on the CPU."""

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Return B texts as tokens, on the CPU; those that are too long are cut and counted."""

    def image_embeds(self, pixels: Tensor) -> Tensor:
        """Return ``[B, N, D]``: the vision output after its last layer norm.

        This is what the keys and values of the Q-Former's cross-attentions are made of.
        """

    def image_queries(self, image_embeds: Tensor) -> Tensor:
        """Return ``[B, queries, P]`` float32 unit rows, to compare with `text_embedding`."""

    def text_embedding(self, tokens: Tokens) -> Tensor:
        """Return ``[B, P]`` float32 unit rows."""

    def itm_logits(self, image_embeds: Tensor, tokens: Tokens) -> Tensor:
        """Return ``[B]`` float32: per pair of an image and a text the raw matching logit.

        It is ``itm_head(h)[..., 1]``, averaged over the learned queries.
        """
