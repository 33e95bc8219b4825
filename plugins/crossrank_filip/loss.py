"""The FILIP training loss: token-wise late interaction, contrasted within a batch.

Yao et al., "FILIP: Fine-grained Interactive Language-Image Pre-Training", ICLR 2022.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

INITIAL_TEMPERATURE = 0.07
MINIMUM_TEMPERATURE = 0.01


class FilipLoss(nn.Module):
    """``L = ½ [CE(s^I / τ over texts) + CE(s^T / τ over images)]`` with a learnable τ.

    Captions of one image share the target probability equally, in both directions.

    Parameters
    ----------
    temperature : float
        Initial τ. It is learned through its logarithm, and kept at or above 0.01.
    keep : float
        Fraction in (0, 1] of each item's tokens that takes part: those whose greatest similarity
        to any token of the other side's batch is highest (at least one). The paper keeps 0.25 to
        save memory; 1.0 keeps all. Applies in training mode only.

    Raises
    ------
    ValueError
        If ``temperature`` is below 0.01 or ``keep`` lies outside (0, 1].
    """

    def __init__(self, temperature: float = INITIAL_TEMPERATURE, keep: float = 1.0) -> None:
        super().__init__()
        if not temperature >= MINIMUM_TEMPERATURE:
            raise ValueError(f"temperature must be ≥ {MINIMUM_TEMPERATURE}; got {temperature}.")
        if not 0.0 < keep <= 1.0:
            raise ValueError(f"keep must lie in (0, 1]; got {keep}.")
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.keep = keep

    @property
    def temperature(self) -> Tensor:
        """Current τ, a scalar tensor that gradients flow through."""
        # Clamping the stored value instead of the used one keeps its gradient alive at the floor.
        with torch.no_grad():
            self.log_temperature.clamp_(min=math.log(MINIMUM_TEMPERATURE))
        return self.log_temperature.exp()

    def forward(
        self,
        image_tokens: Tensor,
        text_tokens: Tensor,
        text_mask: Tensor | None = None,
        *,
        image_mask: Tensor | None = None,
        image_ids: Tensor | None = None,
        text_image_ids: Tensor | None = None,
    ) -> Tensor:
        """Loss of one batch.

        Parameters
        ----------
        image_tokens, text_tokens : Tensor
            Float, ``[N, n1, D]`` and ``[M, n2, D]``; unit rows.
        text_mask, image_mask : Tensor, optional
            Bool, ``[M, n2]`` and ``[N, n1]``; True marks a token, False padding.
        image_ids : Tensor, optional
            Integer ``[N]``, one id per image; ``0 … N-1`` by default.
        text_image_ids : Tensor, optional
            Integer ``[M]``, the id of the image that each text describes; ``image_ids`` by default.

        Returns
        -------
        Tensor
            Scalar.

        Raises
        ------
        ValueError
            If an item has no token, a text has no image in the batch, or an image no text.
        """
        if image_ids is None:
            image_ids = torch.arange(len(image_tokens), device=image_tokens.device)
        if text_image_ids is None:
            text_image_ids = image_ids
        match = matches(image_ids, text_image_ids, len(image_tokens), len(text_tokens))
        if self.training and self.keep < 1.0:
            kept_images = keep_tokens(image_tokens, image_mask, text_tokens, text_mask, self.keep)
            kept_texts = keep_tokens(text_tokens, text_mask, image_tokens, image_mask, self.keep)
            (image_tokens, image_mask), (text_tokens, text_mask) = kept_images, kept_texts
        image_scores, text_scores = late_interaction(
            image_tokens, text_tokens, text_mask, image_mask=image_mask
        )
        temperature = self.temperature
        over_texts = shared_cross_entropy(image_scores / temperature, match, dim=1)
        over_images = shared_cross_entropy(text_scores / temperature, match, dim=0)
        return (over_texts + over_images) / 2


def late_interaction(
    image_tokens: Tensor,
    text_tokens: Tensor,
    text_mask: Tensor | None = None,
    *,
    image_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """``s^I`` and ``s^T`` of every image with every text, differentiable.

    Parameters
    ----------
    image_tokens, text_tokens, text_mask, image_mask
        As in :meth:`FilipLoss.forward`.

    Returns
    -------
    image_scores, text_scores : Tensor
        ``[N, M]``: the mean over image tokens of the max over text tokens, and the mean over text
        tokens of the max over image tokens. Padding counts in neither.

    Raises
    ------
    ValueError
        If an item has no token.
    """
    n, n1, dim = image_tokens.shape
    m, n2, _ = text_tokens.shape
    flat = image_tokens.reshape(n * n1, dim) @ text_tokens.reshape(m * n2, dim).T
    similarity = flat.view(n, n1, m, n2)
    by_image = _mask_out(similarity, text_mask, "text", (1, 1, m, n2)).max(dim=3).values
    by_text = _mask_out(similarity, image_mask, "image", (n, n1, 1, 1)).max(dim=1).values
    return (
        _masked_mean(by_image, 1, None if image_mask is None else image_mask.view(n, n1, 1)),
        _masked_mean(by_text, 2, None if text_mask is None else text_mask.view(1, m, n2)),
    )


def keep_tokens(
    tokens: Tensor, mask: Tensor | None, others: Tensor, others_mask: Tensor | None, keep: float
) -> tuple[Tensor, Tensor]:
    """Keep the tokens of each item that are most similar to any token of the other side.

    Parameters
    ----------
    tokens, others : Tensor
        Float, ``[N, n, D]`` and ``[M, m, D]``.
    mask, others_mask : Tensor or None
        Bool, ``[N, n]`` and ``[M, m]``; None where every token counts.
    keep : float
        Fraction in (0, 1] of an item's own tokens; the count is rounded up.

    Returns
    -------
    kept, kept_mask : Tensor
        ``[N, k, D]`` and ``[N, k]``, with ``k`` the largest kept count.
    """
    if mask is None:
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    pool = others.flatten(0, 1) if others_mask is None else others[others_mask]
    with torch.no_grad():
        best = (tokens.flatten(0, 1) @ pool.T).amax(dim=1).view(mask.shape)
        best = best.masked_fill(~mask, -torch.inf)
        counts = torch.ceil(mask.sum(dim=1) * keep).long()
        width = int(counts.max())
        chosen = best.topk(width, dim=1).indices
        kept_mask = torch.arange(width, device=tokens.device) < counts[:, None]
    kept = tokens.gather(1, chosen[:, :, None].expand(-1, -1, tokens.shape[2]))
    return kept, kept_mask


def matches(image_ids: Tensor, text_image_ids: Tensor, images: int, texts: int) -> Tensor:
    """Return ``[images, texts]``: which texts describe which image.

    Parameters
    ----------
    image_ids, text_image_ids
        As in :meth:`FilipLoss.forward`.
    images, texts
        How many there are.

    Raises
    ------
    ValueError
        If an id is missing, a text has no image in the batch, or an image no text.
    """
    if image_ids.shape != (images,) or text_image_ids.shape != (texts,):
        raise ValueError(
            f"FilipLoss got {images} images with image_ids of shape {tuple(image_ids.shape)} and "
            f"{texts} texts with text_image_ids of shape {tuple(text_image_ids.shape)}; give one "
            "id per image and, for each text, the id of its image."
        )
    match = image_ids[:, None] == text_image_ids[None, :]
    for name, axis in (("image", 1), ("text", 0)):
        missing = (~match.any(dim=axis)).nonzero().flatten().tolist()
        if missing:
            raise ValueError(
                f"FilipLoss: {name} {missing[0]} of the batch has no counterpart; every image "
                "needs a text of the same id in the batch, and every text its image."
            )
    return match


def _mask_out(
    similarity: Tensor, mask: Tensor | None, side: str, shape: tuple[int, int, int, int]
) -> Tensor:
    if mask is None:
        return similarity
    empty = (~mask.any(dim=1)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(
            f"FILIP late interaction: {side} {empty[0]} has no token; leave it out of the batch."
        )
    return similarity.masked_fill(~mask.view(shape), -torch.inf)


def _masked_mean(values: Tensor, dim: int, mask: Tensor | None) -> Tensor:
    if mask is None:
        return values.mean(dim=dim)
    # A padding row may hold -inf, and 0 · (-inf) is NaN: fill, do not multiply.
    total = values.masked_fill(~mask, 0.0).sum(dim=dim)
    return total / mask.sum(dim=dim)


def shared_cross_entropy(logits: Tensor, match: Tensor, dim: int) -> Tensor:
    """Return the mean cross entropy along a dimension, where matches share the target equally.

    Parameters
    ----------
    logits : Tensor
        Float, ``[N, M]``.
    match : Tensor
        Bool, ``[N, M]``; each line along `dim` has at least one.
    dim : int
        What the softmax runs over: 1 for the columns, 0 for the rows.
    """
    targets = match / match.sum(dim=dim, keepdim=True)
    return -(targets * logits.log_softmax(dim=dim)).sum(dim=dim).mean()
