"""Collections that cannot be scored are refused before any work starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank._items.ragged import Ragged
from crossrank.errors import FeatureMismatchError, MissingFeatureError
from crossrank.testing._case import RerankerCase
from crossrank.testing._check import require


def missing_features_are_refused_before_any_work(case: RerankerCase) -> None:
    """Expect an error before `prepare` without a feature, or a run that does without it."""
    needs = case.build().needs(case.context())
    for name in needs.queries:
        what = f"without {name!r} of the queries"
        _refused_before_any_work(case, what, queries=_without(case.queries, name))
    for name in needs.candidates:
        what = f"without {name!r} of the candidates"
        _refused_before_any_work(case, what, gallery=_without(case.gallery, name))


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
        what = f"with longer rows of {name!r} in the gallery than in the queries"
        gallery = case.gallery.with_features(**{name: wider})
        require(
            _refused_before_any_work(case, what, gallery=gallery),
            f"it runs {what}; let needs() name the feature for both sides",
        )


def _refused_before_any_work(
    case: RerankerCase,
    what: str,
    queries: Collection | None = None,
    gallery: Collection | None = None,
) -> bool:
    """Tell whether a run is refused as it should be; it may also work, but not fail halfway."""
    called: list[str] = []
    scorer = case.build()
    for method in ("prepare", "score"):
        setattr(scorer, method, _noting(getattr(scorer, method), method, called))
    try:
        case.rerank(scorer=scorer, queries=queries, gallery=gallery)
    except Exception as error:
        require(
            isinstance(error, MissingFeatureError | FeatureMismatchError) and not called,
            f"{what} it fails in {'() and '.join(called) or 'needs'}() only: {error}; let needs() "
            "name what it reads, and crossrank refuses in time",
        )
        return True
    return False


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
