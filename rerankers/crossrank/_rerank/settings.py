"""The pipeline that the short arguments of the drop-in call stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from crossrank._lists.fusion import RRF, Fusion, Replace
from crossrank._lists.weighted_sum import WeightedSum
from crossrank._pipeline import Pipeline
from crossrank._stage import Stage
from crossrank.errors import InputError, ParameterError, nearest
from crossrank.plugin.contract import Reranker
from crossrank.plugin.registry import load_reranker

OneReranker: TypeAlias = str | type[Reranker] | Reranker | Stage
RerankerLike: TypeAlias = OneReranker | Sequence[OneReranker] | Pipeline
FUSIONS: dict[str, type[Fusion]] = {"weighted": WeightedSum, "replace": Replace, "rrf": RRF}


def pipeline_of(
    reranker: RerankerLike,
    fusion: str | Fusion | None,
    weight: float | None,
    scored: bool,
    params: Mapping[str, Any],
) -> Pipeline:
    """Return the pipeline of `rerank`'s arguments.

    Parameters
    ----------
    reranker
        One, several that run one after another, or a pipeline, which has settings of its own.
    fusion, weight
        Of every stage.
    scored
        Whether there are base scores: without any, the first stage's scores replace the order.
    params
        The parameters of the one reranker.

    Raises
    ------
    InputError
        Where a setting would do nothing, or it is open whose it is.
    """
    settings = {"fusion": fusion, "weight": weight}
    given = [name for name, value in settings.items() if value is not None] + list(params)
    if isinstance(reranker, Pipeline | Stage):
        if given:
            raise InputError(
                f"rerank: a {type(reranker).__name__} brings its own parameters and fusion; give "
                f"it {', '.join(given)} where it is made"
            )
        return reranker if isinstance(reranker, Pipeline) else Pipeline([reranker])
    if isinstance(reranker, str) and not params and isinstance(fusion, str | None):
        kind = load_reranker(reranker)
        if kind.info.thread_safe and isinstance(weight, float | int | None):
            return _usual(kind, reranker, fusion, weight, scored)
    if isinstance(reranker, str | type | Reranker):
        return Pipeline([Stage(reranker, fusion=_rule(fusion, weight, scored), params=params)])
    stages = list(reranker) if isinstance(reranker, Sequence) else []
    if not stages:
        raise InputError(
            f"rerank: {reranker!r:.60} is no reranker; give a name, such as 'filip', or a list "
            "of names"
        )
    if params:
        raise InputError(
            f"rerank: whose is the parameter {next(iter(params))!r}? There are {len(stages)} "
            "rerankers; give a list of Stage(name, params={...})"
        )
    # a weight is that of a sum, and without base scores the first stage has nothing to add to
    weights = [weight if scored or fusion is not None else None, *[weight] * (len(stages) - 1)]
    return Pipeline(
        [
            each
            if isinstance(each, Stage)
            else Stage(each, fusion=_rule(fusion, weights[place], scored or place > 0))
            for place, each in enumerate(stages)
        ]
    )


@lru_cache(maxsize=16, typed=True)
def _usual(
    kind: type[Reranker], name: str, fusion: str | None, weight: float | None, scored: bool
) -> Pipeline:
    """Return the pipeline of a name without parameters, made once: calls come one after another.

    The class is part of the key, since a name may be registered anew.
    """
    return Pipeline([Stage(kind, fusion=_rule(fusion, weight, scored), name=name)])


def _rule(fusion: str | Fusion | None, weight: float | None, scored: bool) -> Fusion:
    """Return the fusion of one stage."""
    if isinstance(fusion, Fusion):
        if weight is not None:
            raise InputError(f"rerank: {fusion!r} has its own weight; give it there")
        return fusion
    if fusion is not None and not (isinstance(fusion, str) and fusion in FUSIONS):
        raise ParameterError(
            f"rerank: fusion is {fusion!r:.80}; give 'weighted', 'replace', 'rrf', or a Fusion"
            f"{nearest(fusion, FUSIONS) if isinstance(fusion, str) else ''}"
        )
    rule = FUSIONS[fusion] if fusion is not None else WeightedSum if scored else Replace
    if rule is WeightedSum and weight is not None:
        return WeightedSum(weight)
    if weight is not None:
        mend = "give base_scores" if fusion is None else "leave it out"
        raise InputError(
            f"rerank: weight is a factor beside base scores, which {rule.__name__} does not use; "
            f"{mend}"
        )
    return rule()
