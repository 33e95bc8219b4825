"""Token-wise late interaction on ragged lists, in exact float32.

All tokens of two items are compared, and one primitive, "the mean over the tokens of side A of the
max over the tokens of side B", gives both scores of FILIP (Yao et al., ICLR 2022): ``s^T`` with A
the text, ``s^I`` with A the image.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError
from crossrank.plugin.optional import loaded, required
from crossrank_filip.grouping import runs, sorted_pairs
from crossrank_filip.kernel import Floats, Integers, Kernel, widened

MeanOver: TypeAlias = Literal["queries", "candidates"]

SCRATCH_BYTES = 32 << 20
GATHERED_BYTES = 6 << 20
"""Of rows that are copied before they are multiplied, and then should still be in a cache."""
ROWS_PER_CALL = 512
"""How many gathered rows one more call costs, about."""
LARGE = 1 << 26
"""Multiplications in one product from which on torch repays what calling it costs."""


def kernel(name: str = "auto", multiplications: int = LARGE) -> Kernel:
    """Return what does the arithmetic.

    Parameters
    ----------
    name
        ``"numpy"``, ``"torch"``, or ``"auto"``: whichever is faster, torch for large products
        where it is installed.  Nothing else decides, so that the same input gives the same bits.
    multiplications
        How large the products will be, on average.

    Raises
    ------
    MissingPackageError
        If torch was asked for and is not there, or is and cannot be imported.
    """
    large = name == "auto" and multiplications >= LARGE
    # to look for a package takes longer than to see that it is loaded
    if name == "torch" or (large and (loaded("torch") is not None or find_spec("torch"))):
        required("torch", "filip", f"filip with backend={name!r}")
        from crossrank_filip.torch_kernel import TorchKernel

        return TorchKernel()
    return Kernel()


def late_interaction(
    queries: cr.Ragged,
    candidates: cr.Ragged,
    index: Integers,
    mask: NDArray[np.bool_],
    *,
    mean_over: MeanOver = "queries",
    backend: str = "auto",
) -> Floats:
    """Score every query with its candidates, in exact float32.

    Parameters
    ----------
    queries, candidates
        The tokens of Q queries and U candidates, rows of the same size D; float32 is not copied.
    index
        ``[Q, K]`` which candidates each query is compared with.
    mask
        ``[Q, K]`` which places of `index` count.
    mean_over
        ``"queries"``: the mean over the query's tokens of the max over the candidate's;
        ``"candidates"``: the other way round.
    backend
        What does the arithmetic, see `kernel`.

    Returns
    -------
    ndarray
        ``[Q, K]`` float32, 0 where the mask is False.

    Raises
    ------
    InputError
        If an item that is compared has no token.
    FeatureMismatchError
        If the tokens of the two sides differ in size.

    Notes
    -----
    Pairs are scored in groups that share one item, the *anchor*; the partners' tokens are gathered
    where they do not lie side by side, with about `SCRATCH_BYTES` of scratch memory whatever the
    lists.  Which side anchors follows from what would have to be gathered.  A pair's score depends
    on its group through float32 rounding only.
    """
    rows, columns = np.nonzero(mask)
    of_queries, of_candidates = rows, index[rows, columns]
    check_tokens(queries, candidates, of_queries, of_candidates)
    scores = np.zeros(index.shape, np.float32)
    if not len(rows):
        return scores
    at_query = _cost(of_queries, candidates.lengths[of_candidates]) <= _cost(
        of_candidates, queries.lengths[of_queries]
    )
    if at_query:
        over_anchor = mean_over == "queries"
        values = _score_pairs(backend, queries, candidates, of_queries, of_candidates, over_anchor)
    else:
        over_anchor = mean_over == "candidates"
        values = _score_pairs(backend, candidates, queries, of_candidates, of_queries, over_anchor)
    scores[rows, columns] = values
    return scores


def check_tokens(
    queries: cr.Ragged, candidates: cr.Ragged, query_rows: Integers, candidate_rows: Integers
) -> None:
    """Refuse tokens that cannot be compared; see `late_interaction`."""
    for side, tokens, used in (
        ("query", queries, query_rows),
        ("candidate", candidates, candidate_rows),
    ):
        empty = tokens.lengths[used] == 0
        if empty.any():
            raise InputError(
                f"filip: {side} {used[empty][0]} has no token, so there is nothing to compare; "
                "leave it out of the lists, or encode it again"
            )
    if len(query_rows) and queries.trailing != candidates.trailing:
        raise FeatureMismatchError(
            f"filip: a token of the queries is {queries.trailing}, one of the candidates "
            f"{candidates.trailing}; encode both with the same encoder"
        )


def _cost(anchors: Integers, partner_lengths: Integers) -> int:
    """Return what a choice of anchors costs besides the arithmetic, in gathered rows."""
    return int(partner_lengths.sum()) + ROWS_PER_CALL * _distinct(anchors)


def _distinct(items: Integers) -> int:
    """Return how many different items there are, without sorting them."""
    return int(np.count_nonzero(np.bincount(items)))


def _score_pairs(
    backend: str,
    anchors: cr.Ragged,
    partners: cr.Ragged,
    of_anchors: Integers,
    of_partners: Integers,
    over_anchor: bool,
) -> Floats:
    """Return ``[P]`` the scores of P pairs, the mean being taken over the anchor or not."""
    order = sorted_pairs(of_anchors, of_partners)
    of_anchors, of_partners = of_anchors[order], of_partners[order]
    lengths = partners.lengths[of_partners]
    work = int((lengths * anchors.lengths[of_anchors]).sum()) * anchors.trailing[0]
    by = kernel(backend, work // _distinct(of_anchors))
    anchor_rows, partner_rows = by.rows(anchors), by.rows(partners)
    row_bytes = 4 * (partner_rows.shape[1] + 2 * int(anchors.lengths.max()))
    copied = partner_rows.dtype == np.float16
    most = (GATHERED_BYTES if copied else SCRATCH_BYTES) // row_bytes
    values = np.empty(len(order), np.float32)
    for run in runs(of_anchors, of_partners, lengths, most, GATHERED_BYTES // row_bytes):
        items = of_partners[run.pairs]
        widths = lengths[run.pairs]
        first_row = int(partners.offsets[items[0]])
        if not run.contiguous:
            tokens, start = by.gather(partner_rows, partners, items), 0
        elif copied:
            tokens, start = by.widen(partner_rows[first_row : first_row + int(widths.sum())]), 0
        else:
            tokens, start = partner_rows, first_row
        offsets = start + np.concatenate([[0], np.cumsum(widths)])
        means = np.empty(len(items), np.float64)
        best = np.empty(0 if over_anchor else int(widths.sum()), np.float32)
        for first, last in zip(run.groups[:-1], run.groups[1:], strict=True):
            item = of_anchors[run.pairs.start + first]
            anchor = widened(anchor_rows[anchors.offsets[item] : anchors.offsets[item + 1]])
            part = slice(int(offsets[first]), int(offsets[last]))
            if over_anchor:
                found = by.best_of_segments(tokens, part, anchor, widths[first:last])
                means[first:last] = found.mean(axis=1, dtype=np.float64)
            else:
                best[part.start - start : part.stop - start] = by.best_of_rows(tokens, part, anchor)
        if not over_anchor:
            means[:] = np.add.reduceat(best, offsets[:-1] - start, dtype=np.float64) / widths
        values[order[run.pairs]] = means
    return values
