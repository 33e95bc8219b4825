"""What trained heads learn by: hinges against the hardest negative, and the reconstruction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossrank.errors import InputError
from crossrank_hosa.algebra import tlstsq, tproduct


class HosaLoss(nn.Module):
    """``hinge(t2i) + hinge(i2t) + weight · (1 − cos of the matched pairs' reconstructions)``.

    For a text the score of an image is the mean over words of the best region, for an image that of
    a text the mean over regions of the best word, the directions they rank in; a hinge asks the
    pair that belongs together to be `margin` above the hardest negative of the batch.

    Parameters
    ----------
    margin : float
        The paper's is 0.2.
    weight : float
        Of the reconstruction, words from regions and regions from words in equal parts; 0 leaves
        it out.
    fold : int
        n3; D must be a multiple of it.
    ridge : float
        λ relative to ``‖V‖² / R``.
    """

    def __init__(
        self, margin: float = 0.2, weight: float = 0.1, fold: int = 2, ridge: float = 0.1
    ) -> None:
        super().__init__()
        self.margin, self.weight, self.fold, self.ridge = margin, weight, fold, ridge

    def forward(self, images: Tensor, texts: Tensor, mask: Tensor) -> Tensor:
        """Return the loss of a batch in which image n and text n belong together.

        Parameters
        ----------
        images : Tensor
            Unit tokens ``[B, R, D]``.
        texts : Tensor
            Unit tokens ``[B, L, D]``.
        mask : Tensor
            Bool ``[B, L]``; False marks padding.
        """
        if len(images) != len(texts) or len(images) < 2:
            raise InputError(
                f"HosaLoss: {len(images)} images and {len(texts)} texts; give at least two of "
                "each, the matched ones in the same place"
            )
        if not bool(mask.any(dim=1).all()):
            raise InputError("HosaLoss: a text has no token; leave it out of the batch")
        from_text, from_image = alignments(images, texts, mask)
        loss = hardest_hinge(from_text.T, self.margin) + hardest_hinge(from_image, self.margin)
        if self.weight:
            rebuilt = reconstructions(images, texts, mask, self.fold, self.ridge)
            loss = loss + self.weight * (1 - rebuilt)
        return loss


def alignments(images: Tensor, texts: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``[N, M]`` twice: the mean over words of the best region, and the other way round."""
    (n, regions, size), (m, words, _) = images.shape, texts.shape
    products = (images.reshape(n * regions, size) @ texts.reshape(m * words, size).T).view(
        n, regions, m, words
    )
    best_region = products.amax(dim=1).masked_fill(~mask, 0).sum(dim=2) / mask.sum(dim=1)
    best_word = products.masked_fill(~mask, -torch.inf).amax(dim=3).mean(dim=1)
    return best_region, best_word


def hardest_hinge(scores: Tensor, margin: float) -> Tensor:
    """Return the mean of ``[margin − s(n, n) + max_m≠n s(n, m)]₊`` over rows of ``[B, B]``."""
    own = scores.diagonal()
    matched = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    others = scores.masked_fill(matched, -torch.inf)
    return (margin - own + others.amax(dim=1)).clamp(min=0).mean()


def reconstructions(images: Tensor, texts: Tensor, mask: Tensor, fold: int, ridge: float) -> Tensor:
    """Return the mean cosine of matched pairs' reconstructions, both ways in equal parts.

    Padding words are zeros: they rebuild nothing, and are not counted among what is rebuilt.
    """
    words = texts * mask[:, :, None]
    from_regions = _cosines(words, images, fold, ridge)
    from_words = _cosines(images, words, fold, ridge)
    counts = mask.sum(dim=1)
    by_word = (from_regions.masked_fill(~mask, 0).sum(dim=1) / counts).mean()
    return (by_word + from_words.mean()) / 2


def _cosines(asked: Tensor, listed: Tensor, fold: int, ridge: float) -> Tensor:
    """Return ``[B, asked]`` the cosine of each row and its reconstruction from `listed`.

    Unit rows make λ the same for all: ``ridge · ‖V‖² / R = ridge``.
    """
    t, v = (_folded(each, fold) for each in (asked, listed))
    rebuilt = tproduct(v, tlstsq(v, t, ridge))
    inner = (rebuilt * t).sum(dim=(1, 3))
    lengths = rebuilt.square().sum(dim=(1, 3)) * t.square().sum(dim=(1, 3))
    return inner / lengths.clamp(min=1e-12).sqrt()


def _folded(rows: Tensor, fold: int) -> Tensor:
    """Return rows ``[B, R, D]`` as lateral slices ``[B, n1, R, n3]``."""
    count, length, size = rows.shape
    return rows.reshape(count, length, size // fold, fold).transpose(1, 2)
