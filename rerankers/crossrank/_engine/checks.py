"""What is verified before any work starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank._items.ragged import Ragged
from crossrank._lists.candidates import Candidates
from crossrank._stage import Stage
from crossrank.errors import (
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    OrientationError,
    UnknownIdError,
)
from crossrank.plugin.contract import Context
from crossrank.plugin.registry import providers


def align(
    candidates: Candidates, queries: Collection, gallery: Collection
) -> tuple[Candidates, NDArray[np.int64], str]:
    """Match candidates and collections by id.

    Returns
    -------
    tuple
        The candidates with `index` in rows of the gallery, ``[Q]`` the row of each query in
        `queries`, and the direction.

    Raises
    ------
    OrientationError
        If queries and gallery are swapped, or make another direction than the candidates say.
    UnknownIdError
        If a collection lacks an id.
    """
    direction = candidates.check_direction(queries.modality, gallery.modality)
    if candidates.query_ids == queries.ids:
        query_rows = np.arange(len(queries), dtype=np.int64)
    else:
        query_rows = _rows(candidates.query_ids, queries, gallery, "query")
    if candidates.candidate_ids == gallery.ids:
        return replace(candidates, direction=direction), query_rows, direction
    used = np.unique(candidates.index[candidates.mask])
    rows = np.zeros(len(candidates.candidate_ids) + 1, np.int64)
    rows[used] = _rows(
        [candidates.candidate_ids[row] for row in used], gallery, queries, "candidate"
    )
    moved = replace(
        candidates,
        index=np.where(candidates.mask, rows[np.where(candidates.mask, candidates.index, 0)], 0),
        candidate_ids=gallery.ids,
        direction=direction,
    )
    return moved, query_rows, direction


def _rows(
    ids: Sequence[str], collection: Collection, other: Collection, what: str
) -> NDArray[np.int64]:
    try:
        return np.array([collection.row(id) for id in ids], np.int64)
    except UnknownIdError as error:
        if ids and ids[0] == "0" and all(id.isdecimal() for id in ids[:100]):
            raise UnknownIdError(
                f"the candidates call the {what} by their places, {ids[0]!r}, {ids[-1]!r}, and the "
                f"collection has ids of its own, such as {collection.ids[0]!r}; make them with "
                "query_ids=queries.ids and candidate_ids=gallery.ids (of from_similarity: "
                "text_ids= and image_ids=)"
            ) from None
        if ids and all(_has(other, id) for id in ids[:100]):
            raise OrientationError(
                f"the {what} ids of the candidates are those of the other collection; "
                "swap queries and gallery"
            ) from None
        raise UnknownIdError(
            f"{what}: {error}; give the collection the run was made with"
        ) from None


def _has(collection: Collection, id: str) -> bool:
    try:
        collection.row(id)
    except UnknownIdError:
        return False
    return True


def check_fusable(stage: Stage, candidates: Candidates) -> None:
    """Refuse to sum with base scores that are not there.

    Raises
    ------
    InputError
        For a first stage whose fusion needs scores over candidates that have none.
    """
    if candidates.scores is None and stage.fusion.needs_scores:
        raise InputError(
            f"stage {stage.name!r} fuses by {stage.fusion!r}, but the candidates have no base "
            "scores; use fusion=Replace() or fusion=RRF()"
        )


def check_features(stages: Sequence[Stage], context: Context) -> None:
    """Refuse collections that lack what a stage needs, or hold it in another size.

    Raises
    ------
    MissingFeatureError
        Naming stage, side and feature, and the encoders that give it.
    FeatureMismatchError
        If both sides hold a feature with rows of different length.
    OrientationError
        If the reranker does not do this direction.
    """
    for stage in stages:
        allowed = stage.scorer.info.directions
        if allowed and context.direction not in allowed:
            raise OrientationError(
                f"the reranker {stage.name!r} does {', '.join(allowed)}, not {context.direction}"
            )
        needs = stage.scorer.needs(context)
        for side, collection, names in (
            ("queries", context.queries, needs.queries),
            ("gallery", context.gallery, needs.candidates),
        ):
            for name in names:
                if name not in collection:
                    raise _missing(stage.name, side, collection, name)
        for name in set(needs.queries) & set(needs.candidates):
            _check_same_size(stage.name, name, context.queries, context.gallery)


def _missing(stage: str, side: str, collection: Collection, name: str) -> MissingFeatureError:
    encoders = providers(name, collection.modality)
    mend = (
        f"encode it with {' or '.join(repr(each) for each in encoders)}, features=[{name!r}]"
        if encoders
        else "no installed encoder gives it; pass it to the Collection"
    )
    return MissingFeatureError(
        f"the reranker {stage!r} needs the feature {name!r} of the {side}, but this "
        f"{collection.modality} collection has only "
        f"{', '.join(collection.features) or 'ids'}; {mend}"
    )


def _check_same_size(stage: str, name: str, queries: Collection, gallery: Collection) -> None:
    left, right = _row_shape(queries[name]), _row_shape(gallery[name])
    if left is not None and right is not None and left != right and len(queries) and len(gallery):
        ragged = [isinstance(each[name], Ragged) for each in (queries, gallery)]
        mend = "encode both with the same encoder"
        if ragged[0] != ragged[1]:
            array = "queries" if ragged[1] else "gallery"
            mend = f"those of the {array} are an array: give Ragged(flat [rows, D], lengths)"
        raise FeatureMismatchError(
            f"the reranker {stage!r} compares {name!r} of both sides, but the queries have rows "
            f"of {left} and the gallery rows of {right}; {mend}"
        )


def _row_shape(feature: object) -> tuple[int, ...] | None:
    if isinstance(feature, Ragged):
        return feature.trailing
    if isinstance(feature, np.ndarray):
        return tuple(feature.shape[1:])
    return None
