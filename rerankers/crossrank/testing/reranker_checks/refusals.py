"""Collections that cannot be scored are refused before any work starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank.collection import Collection
from crossrank.errors import CrossrankError, MissingFeatureError
from crossrank.ragged import Ragged
from crossrank.testing.case import RerankerCase
from crossrank.testing.check import require


def missing_features_are_refused_before_any_work(case: RerankerCase) -> None:
    """Expect an error before `prepare` without a feature that `needs` names."""
    needs = case.build().needs(case.context())
    for name in needs.queries:
        lacking = _without(case.queries, name)
        if name in case.build().needs(case.context(queries=lacking)).queries:
            _require_refusal(case, name, MissingFeatureError, queries=lacking)
        else:
            _require_replacement(case, name, queries=lacking)
    for name in needs.candidates:
        lacking = _without(case.gallery, name)
        if name in case.build().needs(case.context(gallery=lacking)).candidates:
            _require_refusal(case, name, MissingFeatureError, gallery=lacking)
        else:
            _require_replacement(case, name, gallery=lacking)


def only_declared_features_are_read(case: RerankerCase) -> None:
    """Expect `prepare` and `score` to do with what `needs` names."""
    case.start_bare().scores()


def features_of_different_size_are_refused(case: RerankerCase) -> None:
    """Expect an error where a feature has rows of another length on the other side."""
    needs = case.build().needs(case.context())
    for name in sorted(set(needs.queries) & set(needs.candidates)):
        feature = case.gallery[name]
        if isinstance(feature, np.ndarray) and feature.ndim > 1:
            wider: Any = _wider(feature)
        elif isinstance(feature, Ragged) and feature.flat.ndim > 1:
            wider = Ragged(_wider(feature.flat), feature.lengths)
        else:
            continue
        gallery = case.gallery.with_features(**{name: wider})
        _require_refusal(case, name, CrossrankError, gallery=gallery)


def _require_refusal(
    case: RerankerCase,
    feature: str,
    kind: type[Exception],
    queries: Collection | None = None,
    gallery: Collection | None = None,
) -> None:
    called: list[str] = []
    scorer = case.build()
    for method in ("prepare", "score"):
        setattr(scorer, method, _noting(getattr(scorer, method), method, called))
    side = "gallery" if queries is None else "queries"
    what = "without" if kind is MissingFeatureError else "with rows of another length of"
    what = f"{what} {feature!r} in the {side}"
    try:
        case.rerank(scorer=scorer, queries=queries, gallery=gallery)
    except kind as error:
        require(feature in str(error), f"the error {what} does not name it: {error}")
    else:
        raise AssertionError(f"it runs {what}, which needs() names")
    require(not called, f"{what} it fails in {called[-1:]} only; let needs() name the feature")


def _require_replacement(
    case: RerankerCase,
    feature: str,
    queries: Collection | None = None,
    gallery: Collection | None = None,
) -> None:
    """Expect a reranker to do with another feature where `needs` no longer names this one."""
    try:
        case.rerank(queries=queries, gallery=gallery)
    except Exception as error:
        raise AssertionError(
            f"needs() does not name {feature!r} where it is missing, but without it it fails: "
            f"{error}"
        ) from error


def _noting(method: Callable[..., Any], name: str, called: list[str]) -> Callable[..., Any]:
    def noted(*args: Any) -> Any:
        called.append(name)
        return method(*args)

    return noted


def _without(collection: Collection, name: str) -> Collection:
    rest = [feature for feature in collection.features if feature != name]
    return collection.take(range(len(collection)), rest)


def _wider(array: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([array, array[:, :1]], axis=1)


CHECKS = (
    missing_features_are_refused_before_any_work,
    only_declared_features_are_read,
    features_of_different_size_are_refused,
)
