"""Which candidates a model is shown, and which of its questions is asked: arithmetic on arrays.

Nothing here depends on the order of the candidates, to the bit: sums run over them in an order of
their own.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from crossrank.errors import InputError
from crossrank.plugin.optional import needs
from crossrank.plugin.unit_rows import unit

Floats = NDArray[np.float64]


def entropies(similarities: ArrayLike) -> Floats:
    """Return ``[n]`` the entropy, in nats, of the softmax of each row of ``[n, m]``."""
    logs = log_softmax(np.sort(_finite("similarities", similarities, 2), axis=1), axis=1)
    found: Floats = -(np.exp(logs) * logs).sum(axis=1)
    return found


def select_question(
    context: ArrayLike, with_questions: ArrayLike, skip: int = 0
) -> tuple[int, Floats]:
    """Return the question that changes the scores of the candidates least, and every divergence.

    ``argmin_q KL(softmax sim(c, ·) ‖ softmax sim(c + ", " + q, ·))``: a question far from what is
    known would lead the query astray.

    Parameters
    ----------
    context
        ``[N]`` the similarities of the candidates to the context c.
    with_questions
        ``[M, N]`` their similarities to c with each question appended.
    skip
        How many of the best candidates by `context` are left out; the paper's equation leaves out
        none, its code ten.

    Returns
    -------
    tuple
        The first of the lowest divergences, and all of them, ``[M]``.

    Raises
    ------
    InputError
        On shapes that do not fit, numbers that are not finite, no question, or no candidate left.

    References
    ----------
    Lee et al., PlugIR, ACL 2024, algorithm 2.

    Examples
    --------
    >>> index, kl = select_question([0.9, 0.2, 0.4], [[0.88, 0.25, 0.41], [0.3, 0.9, 0.1]])
    >>> index, kl.round(9).tolist()
    (0, [0.000393502, 0.155323657])
    """
    known = _finite("context", context, 1)
    asked = _finite("with_questions", with_questions, 2)
    if asked.shape[1] != len(known) or len(asked) == 0:
        raise InputError(
            f"select_question: context {known.shape} and with_questions {asked.shape}; give [N] "
            "and [M, N], at least one question"
        )
    if isinstance(skip, bool) or not 0 <= skip < len(known):
        raise InputError(
            f"select_question: skip is {skip!r} of {len(known)} candidates; leave at least one"
        )
    kept = np.lexsort((*asked[::-1], -known))[skip:]
    before = log_softmax(known[kept])
    after = log_softmax(asked[:, kept], axis=1)
    found: Floats = (np.exp(before) * (before - after)).sum(axis=1)
    return int(np.argmin(found)), found


def representatives(
    embeddings: ArrayLike, similarities: ArrayLike, clusters: int, seed: int = 0
) -> NDArray[np.int64]:
    """Return the candidates that stand for all: of each cluster the one that says most.

    K-means on unit rows; of each cluster the member whose ``softmax(similarities[i])`` has the
    lowest entropy, since a caption that fits every candidate tells them least apart.

    Parameters
    ----------
    embeddings
        ``[n, D]`` of the candidates; scaled to unit length here.
    similarities
        ``[n, n]``: row i holds the similarities of member i's caption to all candidates.
    clusters
        How many to return; with fewer candidates all of them.
    seed
        Of K-means.

    Returns
    -------
    ndarray
        ``[clusters]`` int64 distinct rows, by rising entropy.  Where embeddings coincide and
        K-means finds fewer clusters, the best of the rest fill up.

    Raises
    ------
    InputError
        On shapes that do not fit, or numbers that are not finite.

    References
    ----------
    Lee et al., PlugIR, ACL 2024, algorithm 1.
    """
    vectors = _finite("embeddings", embeddings, 2)
    scores = _finite("similarities", similarities, 2)
    if scores.shape != (len(vectors), len(vectors)):
        raise InputError(
            f"representatives: embeddings {vectors.shape} and similarities {scores.shape}; give "
            "[n, D] and [n, n]"
        )
    if isinstance(clusters, bool) or clusters < 1:
        raise InputError(f"representatives: clusters is {clusters!r:.80}; give 1 or more")
    spread = entropies(scores)
    units = unit(vectors)
    # rows by entropy: K-means then starts from the same members in whatever order they came
    order: NDArray[np.int64] = np.lexsort((*units.T[::-1], spread)).astype(np.int64)
    if clusters >= len(order):
        return order
    labels = cluster_labels(units[order], clusters, seed)
    _, first = np.unique(labels, return_index=True)
    others = np.setdiff1d(np.arange(len(order)), first)
    chosen = np.sort(np.concatenate([first, others[: clusters - len(first)]]))
    found: NDArray[np.int64] = order[chosen]
    return found


def cluster_labels(rows: Floats, clusters: int, seed: int) -> NDArray[np.int64]:
    """Return ``[n]`` the cluster of each row, by scikit-learn's K-means."""
    with needs("the summary of candidates", "dialogue", "sklearn")():
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning
    with warnings.catch_warnings():
        # fewer distinct rows than clusters: the caller fills up
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = KMeans(clusters, n_init=4, random_state=seed).fit(rows)
    return np.asarray(found.labels_, np.int64)


def _finite(name: str, values: ArrayLike, dimensions: int) -> Floats:
    array = np.asarray(values, np.float64)
    if array.ndim != dimensions or not np.isfinite(array).all():
        raise InputError(
            f"{name}: an array of shape {array.shape}"
            f"{'' if np.isfinite(array).all() else ' with NaN or infinity'}; give "
            f"{dimensions} dimensions of finite numbers"
        )
    return array
