"""Late interaction on a device of torch, such as a GPU, in exact float32."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crossrank as cr
from crossrank.plugin.torch_pairs import Padded, score_pairs
from crossrank_filip.interaction import MeanOver, check_tokens
from crossrank_filip.kernel import Floats, Integers


def late_interaction_on(
    device: str,
    queries: cr.Ragged,
    candidates: cr.Ragged,
    index: Integers,
    mask: NDArray[np.bool_],
    *,
    mean_over: MeanOver = "queries",
) -> Floats:
    """Score every query with its candidates; see `crossrank_filip.interaction.late_interaction`.

    Tokens in float16 move to the device as they are and are widened there, so that products and
    sums are those of float32 whatever the tokens are; TF32 is off.

    Parameters
    ----------
    device
        What `crossrank.plugin.torch_device.device_of` returned.
    queries, candidates, index, mask, mean_over
        As there.

    Returns
    -------
    ndarray
        ``[Q, K]`` float32, 0 where the mask is False.

    Raises
    ------
    InputError, FeatureMismatchError
        As there.
    BudgetError
        If the device has not enough memory for the block's tokens or for a single pair.
    """
    rows, columns = np.nonzero(mask)
    of_candidates = index[rows, columns]
    check_tokens(queries, candidates, rows, of_candidates)
    over_queries = mean_over == "queries"
    scores = np.zeros(index.shape, np.float32)
    scores[rows, columns] = score_pairs(
        "filip",
        device,
        queries,
        candidates,
        rows,
        of_candidates,
        mean_over_queries if over_queries else mean_over_candidates,
    )[0]
    return scores


def mean_over_queries(asked: Padded, listed: Padded) -> Tensor:
    """Return ``[n]``: the mean over the query's tokens of the best product with the candidate's."""
    return asked.mean(products(asked, listed).amax(dim=2))


def mean_over_candidates(asked: Padded, listed: Padded) -> Tensor:
    """Return ``[n]``: the mean over the candidate's tokens of the best product with the query's."""
    return listed.mean(products(asked, listed).amax(dim=1))


def products(asked: Padded, listed: Padded) -> Tensor:
    """Return ``[n, L, M]``: the inner products of the tokens of both sides of n pairs."""
    return torch.bmm(asked.rows, listed.rows.transpose(1, 2))
