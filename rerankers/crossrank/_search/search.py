"""The embedded base matcher: exact nearest neighbours by inner product."""

from __future__ import annotations

import importlib.util
import logging

import numpy as np
from numpy.typing import NDArray

from crossrank._checking import check_count, checked, text
from crossrank._items.collection import Collection
from crossrank._lists.candidates import LETTERS, Candidates
from crossrank._progress import as_progress
from crossrank._search.exact import best_rows
from crossrank._search.screens import faiss_screen, numpy_screen
from crossrank.errors import FeatureMismatchError, InputError, MissingFeatureError, nearest
from crossrank.plugin.contract import Progress
from crossrank.plugin.optional import required
from crossrank.plugin.registry import providers

ENGINES = ("auto", "numpy", "faiss")

log = logging.getLogger(__name__)


def search(
    queries: Collection,
    gallery: Collection,
    depth: int = 100,
    *,
    engine: str = "auto",
    feature: str = "embedding",
    progress: Progress | bool | None = None,
) -> Candidates:
    """Find for every query the gallery items with the highest inner product.

    Exact: the scores are inner products in float64, equal ones ordered by gallery row, and every
    engine gives the same candidates, scores and order, to the bit.  An engine only screens in
    float32; what it cannot tell apart within the rounding error, however many rows that are, is
    scored again.

    Parameters
    ----------
    queries, gallery
        Collections with the feature ``[N, D]``; memory-mapped ones are read in chunks, the gallery
        once.  For cosine similarity its rows must have unit length, as encoders give them.
    depth
        Candidates per query; a smaller gallery is returned whole.
    engine
        ``"numpy"``, ``"faiss"`` (``IndexFlatIP``), or ``"auto"``: faiss where it is installed.
    feature
        Which feature to compare.
    progress
        True for a bar on standard error, or a callable ``(what, done, total)``.

    Returns
    -------
    Candidates
        Lists of equal length; without queries no list, without a gallery empty ones.

    Raises
    ------
    MissingFeatureError
        If a collection lacks the feature, naming the encoders that give it.
    FeatureMismatchError
        If its rows differ in length between the two sides.
    InputError
        If depth is below 1, the engine unknown, the feature no matrix, or a row not finite.
    MissingPackageError
        If faiss is asked for and not installed.

    Examples
    --------
    >>> texts = Collection(["q"], "text", embedding=[[1.0, 0.0]])
    >>> images = Collection(["a", "b"], "image", embedding=[[0.0, 1.0], [0.6, 0.8]])
    >>> search(texts, images, depth=1).to_run()
    {'q': {'b': 0.6}}
    """
    check_count("search", "depth", depth)
    for side, given in (("queries", queries), ("gallery", gallery)):
        if not isinstance(given, Collection):
            raise InputError(
                f"search: the {side} are a {type(given).__name__}; give a crossrank.Collection, as "
                "cr.encode makes it"
            )
    checked("search", "feature", feature, text)
    if not isinstance(engine, str) or engine not in ENGINES:
        raise InputError(f"search: no engine {engine!r:.80}{nearest(engine, ENGINES)}")
    if engine == "auto":
        engine = "numpy" if importlib.util.find_spec("faiss") is None else "faiss"
    if engine == "faiss":
        required("faiss", "faiss", "search(engine='faiss')")  # before anything is read
    left, right = _matrix(queries, feature, "queries"), _matrix(gallery, feature, "gallery")
    count = min(depth, len(gallery))
    if len(queries) and len(gallery):
        _check_comparable(queries, gallery, feature, left.shape[1], right.shape[1])
        index, scores = best_rows(
            left,
            right,
            count,
            faiss_screen if engine == "faiss" else numpy_screen,
            (queries.ids, gallery.ids),
            as_progress(progress),
        )
    else:
        index = np.zeros((len(queries), count), np.int64)
        scores = np.zeros(index.shape, np.float64)
    return Candidates(
        index=index,
        scores=scores,
        mask=np.ones(index.shape, np.bool_),
        query_ids=queries.ids,
        candidate_ids=gallery.ids,
        direction=f"{LETTERS[queries.modality]}2{LETTERS[gallery.modality]}",
    )


def _matrix(collection: Collection, feature: str, side: str) -> NDArray[np.generic]:
    if feature not in collection:
        encoders = providers(feature, collection.modality)
        mend = (
            f"encode it with {' or '.join(map(repr, encoders))}, features=[{feature!r:.80}]"
            if encoders
            else "no installed encoder gives it; pass it to the Collection"
        )
        raise MissingFeatureError(
            f"search compares the feature {feature!r:.80}, but the {side} ({collection.modality}) "
            f"have only {', '.join(collection.features) or 'ids'}; {mend}"
        )
    matrix = collection[feature]
    if len(collection) == 0:
        return np.zeros((0, 0))
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "fiub":
        raise InputError(
            f"search: the feature {feature!r} of the {side} is no matrix of numbers [N, D]; "
            "search compares one vector per item, such as 'embedding'"
        )
    return matrix


def _check_comparable(
    queries: Collection, gallery: Collection, feature: str, left: int, right: int
) -> None:
    if left != right:
        raise FeatureMismatchError(
            f"search: {feature!r} has {left} numbers in the queries and {right} in the gallery; "
            "encode both with the same encoder"
        )
    encoders = {each.encoder for each in (queries, gallery)} - {None}
    if len(encoders) > 1:
        log.warning(
            "search: the queries were encoded with %s and the gallery with %s; their inner "
            "products mean little unless both share one space",
            queries.encoder,
            gallery.encoder,
        )
