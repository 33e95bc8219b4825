"""The contrastive losses of AdaMatch (ACL 2024), over the scores of a batch.

The scores are those of `crossrank_filip.loss.late_interaction`, where padding can never win and is
never counted.
"""

from __future__ import annotations

from torch import Tensor

from crossrank_filip.loss import shared_cross_entropy

WEIGHT = 0.7


def adamatch_loss(
    image_scores: Tensor,
    text_scores: Tensor,
    match: Tensor,
    temperature: Tensor | float,
    weight: float = WEIGHT,
) -> Tensor:
    """Return ``.7 · (CE over texts of s^I/τ + CE over images of s^T/τ)``.

    Parameters
    ----------
    image_scores, text_scores
        Float, ``[N, M]``: s^I, the mean over an image's patches of the best word, and s^T, the mean
        over a text's words of the best patch, of every image with every text.
    match
        Bool, ``[N, M]``: which texts describe which image; several share the target.
    temperature
        τ.
    weight
        The factor .7.
    """
    over_texts = shared_cross_entropy(image_scores / temperature, match, dim=1)
    over_images = shared_cross_entropy(text_scores / temperature, match, dim=0)
    return weight * (over_texts + over_images)


def adamatch_loss_over_texts(
    image_scores: Tensor,
    text_scores: Tensor,
    match: Tensor,
    temperature: Tensor | float,
    weight: float = WEIGHT,
) -> Tensor:
    """Return the loss as the authors' code has it: both softmaxes run over the texts.

    Then no image competes with another for a text.  See `adamatch_loss` for the parameters.
    """
    of_images = shared_cross_entropy(image_scores / temperature, match, dim=1)
    of_texts = shared_cross_entropy(text_scores / temperature, match, dim=1)
    return weight * (of_images + of_texts)
