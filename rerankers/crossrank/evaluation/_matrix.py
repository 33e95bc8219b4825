"""`evaluate_matrix`: the cross-modal protocol on similarity matrices, both directions at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank._checking import check_count, none, one_of
from crossrank._items.arrays import to_numpy
from crossrank.errors import InputError, OrientationError
from crossrank.evaluation._both import BothDirections
from crossrank.evaluation._captionmap import CaptionMap
from crossrank.evaluation._compare import compare
from crossrank.evaluation._counting import first_ranks_and_groups
from crossrank.evaluation._measures import DEFAULT_METRICS, Measure, parse_measures
from crossrank.evaluation._result import Evaluation
from crossrank.evaluation._significance import Significance
from crossrank.evaluation._ties import note_of, ties

DIRECTIONS = ("t2i", "i2t")


@overload
def evaluate_matrix(
    similarity: ArrayLike | Mapping[str, ArrayLike],
    direction: Literal["t2i", "i2t"],
    *,
    captions_per_image: int | None = None,
    text_to_image: ArrayLike | None = None,
    image_to_texts: Sequence[Iterable[int]] | None = None,
    rows: Literal["images", "texts"] = "images",
    metrics: Sequence[str] = DEFAULT_METRICS,
    baseline: str | None = None,
    resamples: int = 9999,
    confidence: float = 0.95,
    method: str = "percentile",
    seed: int = 0,
) -> Evaluation: ...


@overload
def evaluate_matrix(
    similarity: ArrayLike | Mapping[str, ArrayLike],
    direction: Literal["both"] | None = None,
    *,
    captions_per_image: int | None = None,
    text_to_image: ArrayLike | None = None,
    image_to_texts: Sequence[Iterable[int]] | None = None,
    rows: Literal["images", "texts"] = "images",
    metrics: Sequence[str] = DEFAULT_METRICS,
    baseline: str | None = None,
    resamples: int = 9999,
    confidence: float = 0.95,
    method: str = "percentile",
    seed: int = 0,
) -> BothDirections: ...


def evaluate_matrix(
    similarity: ArrayLike | Mapping[str, ArrayLike],
    direction: str | None = None,
    *,
    captions_per_image: int | None = None,
    text_to_image: ArrayLike | None = None,
    image_to_texts: Sequence[Iterable[int]] | None = None,
    rows: Literal["images", "texts"] = "images",
    metrics: Sequence[str] = DEFAULT_METRICS,
    baseline: str | None = None,
    resamples: int = 9999,
    confidence: float = 0.95,
    method: str = "percentile",
    seed: int = 0,
) -> Evaluation | BothDirections:
    """Measure similarity matrices by the cross-modal protocol.

    The rank of an item is one more than the number of candidates that score higher, or the same
    with a lower index; `Evaluation.ties` says what other orders of equal scores would give.  An
    image counts as found with the first of its captions.

    Parameters
    ----------
    similarity
        ``[n_images, n_texts]``, higher is better, images as rows in *both* directions; or a mapping
        from name to such matrices, the first of which is the baseline.  Read in blocks of rows, so
        it may be memory-mapped.
    direction
        ``"t2i"`` (texts are the queries), ``"i2t"``, or None for both and RSUM.
    captions_per_image
        Texts 0 to 4 belong to image 0, and so on; 5 by default.
    text_to_image
        Instead: ``[n_texts]`` the image of each text, −1 for none.
    image_to_texts
        Instead: for each image the texts that belong to it.
    rows
        ``"texts"`` for matrices ``[n_texts, n_images]``, as some libraries make them; a square one
        does not tell by itself which it is.
    metrics
        Of the rank of the first relevant item: R@K, MedR, MeanR, MRR.
    baseline, resamples, confidence, method, seed
        As for `evaluate`.

    Returns
    -------
    Evaluation or BothDirections
        Queries are called ``"0"``, ``"1"``, …

    Raises
    ------
    OrientationError
        On an unknown direction, or a matrix that looks transposed.
    InputError
        On anything else that does not fit, and on similarities that are not finite.

    Examples
    --------
    >>> matrix = [[0.9, 0.8, 0.1, 0.3], [0.2, 0.7, 0.6, 0.4]]
    >>> evaluate_matrix(matrix, "t2i", captions_per_image=2, metrics=["R@1"])["similarity"]
    {'R@1': 100.0}
    """
    if not (one_of(*DIRECTIONS, "both") | none).accepts(direction):
        raise OrientationError(
            f"evaluate_matrix: direction is {direction!r:.80}; give 't2i', 'i2t', or None for both"
        )
    significance = Significance(resamples, confidence, method, seed)
    measures = _measures(metrics)
    given = similarity if isinstance(similarity, Mapping) else {"similarity": similarity}
    if not one_of("images", "texts").accepts(rows):
        raise OrientationError(f"evaluate_matrix: rows is {rows!r:.80}; give 'images' or 'texts'")
    matrices = {str(name): _matrix(str(name), each) for name, each in given.items()}
    if rows == "texts":
        matrices = {name: each.T for name, each in matrices.items()}
    shape = _common_shape(matrices)
    pairs = _pairs(shape, captions_per_image, text_to_image, image_to_texts)
    counted = {name: first_ranks_and_groups(each, pairs, name) for name, each in matrices.items()}

    def of(way: str) -> Evaluation:
        _, _, count, size = pairs.members(way)
        values = {
            name: np.stack([each.of_ranks(ranks[way], size + 1) for each in measures])
            for name, (ranks, _) in counted.items()
        }
        tied = {name: ties(each[way], measures, size + 1) for name, (_, each) in counted.items()}
        open_ones = {name: each for name, each in tied.items() if each is not None}
        notes = [note_of(name, each) for name, each in open_ones.items()]
        if lonely := count - len(np.unique(pairs.members(way)[0])):
            notes = [f"queries without a relevant item: {lonely:,}; they count as misses", *notes]
        return compare(
            values,
            measures,
            [str(query) for query in range(count)],
            pairs.clusters(way),
            baseline,
            significance,
            way,
            notes,
            open_ones,
        )

    if direction in DIRECTIONS:
        return of(direction)
    return BothDirections(of("t2i"), of("i2t"))


def _matrix(name: str, similarity: ArrayLike) -> NDArray[np.generic]:
    similarity = to_numpy(similarity)
    matrix = similarity if isinstance(similarity, np.ndarray) else np.asarray(similarity)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiub" or not matrix.size:
        raise InputError(
            f"evaluate_matrix: {name!r} must be a matrix of numbers [n_images, n_texts]; got shape "
            f"{matrix.shape} of {matrix.dtype}"
        )
    # unsigned numbers and booleans cannot be negated
    return matrix if matrix.dtype.kind == "f" else matrix.astype(np.float64)


def _common_shape(matrices: Mapping[str, NDArray[np.generic]]) -> tuple[int, int]:
    shapes = {name: each.shape for name, each in matrices.items()}
    if len(set(shapes.values())) != 1:
        told = ", ".join(f"{name!r} {shape}" for name, shape in shapes.items()) or "none"
        raise InputError(f"evaluate_matrix: give matrices of one shape; got {told}")
    rows, columns = next(iter(shapes.values()))
    return rows, columns


def _pairs(
    shape: tuple[int, int],
    captions_per_image: int | None,
    text_to_image: ArrayLike | None,
    image_to_texts: Sequence[Iterable[int]] | None,
) -> CaptionMap:
    given = [
        each for each in (captions_per_image, text_to_image, image_to_texts) if each is not None
    ]
    if len(given) > 1:
        raise InputError(
            "evaluate_matrix: give one of captions_per_image, text_to_image and image_to_texts"
        )
    if text_to_image is not None:
        return CaptionMap.from_texts(shape, text_to_image)
    if image_to_texts is not None:
        return CaptionMap.from_images(shape, image_to_texts)
    count = 5 if captions_per_image is None else captions_per_image
    check_count("evaluate_matrix", "captions_per_image", count)
    return CaptionMap.by_count(shape, count)


def _measures(metrics: Sequence[str]) -> tuple[Measure, ...]:
    measures = parse_measures(metrics)
    for each in measures:
        if each.ir:
            raise InputError(
                f"evaluate_matrix: {each.name} needs ranked lists; use "
                "evaluate(Candidates.from_similarity(...), qrels)"
            )
    return measures
