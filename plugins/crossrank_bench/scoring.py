"""Scores of the pairs that a benchmark compares: from a pipeline, or given as matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, ParameterError
from crossrank_bench.benchmark import Benchmark, Pair
from crossrank_bench.pictures import picture_item

Floats = NDArray[np.float64]
DIGITS = 6
"""Decimals of a pipeline's scores that count: what differs by less is rounding, and a tie."""
OF_RUNS = ("zscore", "minmax")


@dataclass(frozen=True, slots=True)
class Sides:
    """The pictures and texts that cases use, encoded.

    Parameters
    ----------
    images, texts
        Collections whose ids are the places in the benchmark.
    """

    images: cr.Collection
    texts: cr.Collection


def check_encoder(encoder: cr.Encoder) -> None:
    """Refuse an encoder that cannot compare a picture with a text."""
    for modality in ("image", "text"):
        if "embedding" not in encoder.info.features.get(modality, ()):
            raise FeatureMismatchError(
                f"bench: the encoder {encoder.info.name!r} gives no embedding of {modality}s; "
                "give one that encodes both sides, such as 'lite'"
            )


def for_pairs(stage: cr.Stage) -> cr.Stage:
    """Return a stage that sees every pair, and whose scores can be compared across lists.

    The lists of a benchmark hold two items or a few, of which z-scores by row would leave but the
    sign: the statistics are those of the whole run.

    Raises
    ------
    ParameterError
        If its fusion compares within a list only.
    """
    fusion: Any = stage.fusion
    if isinstance(fusion, cr.RRF) or getattr(fusion, "normalise", "none") in ("softmax", "rank"):
        raise ParameterError(
            f"bench: the stage {stage.name!r} is fused by ranks or softmax within its list, which "
            "says nothing across lists; take normalise=zscore, minmax or none, or fusion=replace"
        )
    if isinstance(fusion, cr.WeightedSum) and fusion.normalise in OF_RUNS:
        fusion = replace(fusion, statistics="run")
    return replace(stage, depth=None, fusion=fusion)


def encoded(
    benchmark: Benchmark,
    encoder: cr.Encoder,
    stages: Sequence[cr.Stage],
    progress: cr.Progress | bool | None,
) -> Sides:
    """Encode what the cases use, with the features that stages read."""
    pairs = benchmark.pairs()
    images = sorted({image for image, _ in pairs})
    texts = sorted({text for _, text in pairs})
    wanted = {"embedding"}
    for stage in stages:
        info = stage.scorer.info
        wanted |= {*info.query_features, *info.candidate_features, *info.explain_features}
    items = {
        "image": [
            picture_item(str(place), benchmark.shots[place], path)
            for place in images
            if (path := benchmark.found[place]) is not None
        ],
        "text": [cr.Item(str(place), benchmark.texts[place]) for place in texts],
    }
    made = {
        modality: cr.encode(
            encoder,
            listed,
            modality=modality,
            features=tuple(f for f in encoder.info.features[modality] if f in wanted),
            progress=progress,
        )
        for modality, listed in items.items()
    }
    return Sides(made["image"], made["text"])


def pipeline_scores(
    benchmark: Benchmark,
    sides: Sides,
    stages: Sequence[cr.Stage],
    direction: str,
    progress: cr.Progress | bool | None = None,
    cache_folder: str | Path | None = None,
) -> dict[str, list[Floats]]:
    """Return the matrices of each case, by the cosine of embeddings and by the pipeline."""
    pairs = benchmark.pairs()
    base = _cosines(sides, pairs)
    systems = {"base": dict(zip(pairs, base, strict=True))}
    if stages:
        texts_ask = direction == "t2i"
        queries, gallery = (sides.texts, sides.images) if texts_ask else (sides.images, sides.texts)
        lists: dict[str, list[tuple[float, str]]] = {id: [] for id in queries.ids}
        for (image, text), score in zip(pairs, base, strict=True):
            asked, listed = (text, image) if texts_ask else (image, text)
            lists[str(asked)].append((float(score), str(listed)))
        for each in lists.values():
            each.sort(key=lambda pair: -pair[0])
        candidates = cr.Candidates.from_lists(
            {id: [listed for _, listed in each] for id, each in lists.items()},
            scores={id: [score for score, _ in each] for id, each in lists.items()},
            query_ids=queries.ids,
            candidate_ids=gallery.ids,
        )
        pipeline = cr.Pipeline([for_pairs(stage) for stage in stages])
        rankings = pipeline.rerank(
            candidates, queries, gallery, progress=progress, cache_folder=cache_folder
        )
        fused: dict[Pair, float] = {}
        for id, ranking in rankings.items():
            for hit in ranking:
                one, other = int(id), int(hit.id)
                fused[(other, one) if texts_ask else (one, other)] = hit.score
        systems["+".join(stage.name for stage in stages)] = fused
    return {
        system: [
            np.round([[found[image, text] for text in case.texts] for image in case.images], DIGITS)
            for case in benchmark.cases
        ]
        for system, found in systems.items()
    }


Given = ArrayLike | Mapping[str, ArrayLike]


def given_scores(benchmark: Benchmark, scores: Given) -> list[Floats]:
    """Return the matrices of each case from scores that somebody else computed.

    Parameters
    ----------
    benchmark
        With all of its cases, whether their pictures are here or not.
    scores
        For choices ``[n, 1 + negatives]``, the right text first; for pairs ``[n, 2, 2]``,
        ``S[case, picture, caption]``; for labels ``[pictures, texts]``, in the benchmark's order.
        Or the same per category.

    Raises
    ------
    InputError
        If a shape does not fit, a category is missing or unknown, or a score is not a number.
    """
    name = benchmark.name
    if isinstance(scores, Mapping):
        categories = dict.fromkeys(case.category for case in benchmark.cases)
        if set(scores) != set(categories):
            raise InputError(
                f"bench {name}: scores are given for {', '.join(map(str, scores)) or 'nothing'}; "
                f"its categories are {', '.join(categories)}"
            )
        queues = {
            category: iter(
                _matrices(
                    replace(
                        benchmark,
                        cases=tuple(c for c in benchmark.cases if c.category == category),
                    ),
                    scores[category],
                )
            )
            for category in categories
        }
        return [next(queues[case.category]) for case in benchmark.cases]
    return _matrices(benchmark, scores)


def _matrices(benchmark: Benchmark, scores: ArrayLike) -> list[Floats]:
    try:
        table = np.asarray(scores, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"bench {benchmark.name}: the scores are no array of numbers") from error
    shapes = _shapes(benchmark)
    if table.shape not in shapes:
        raise InputError(
            f"bench {benchmark.name}: the scores have the shape {table.shape}; give "
            f"{' or '.join(map(str, shapes))}"
        )
    if benchmark.kind == "labels":
        matrices = [table[np.ix_(case.images, case.texts)] for case in benchmark.cases]
    elif benchmark.kind == "pairs":
        matrices = list(table)
    else:
        matrices = [
            row.reshape(1, -1)[:, : len(case.texts)]
            for case, row in zip(benchmark.cases, table, strict=True)
        ]
    for case, matrix in zip(benchmark.cases, matrices, strict=True):
        if np.isnan(matrix).any():
            raise InputError(f"bench {benchmark.name}: the item {case.id!r} has the score NaN")
    return matrices


def _shapes(benchmark: Benchmark) -> list[tuple[int, ...]]:
    cases = len(benchmark.cases)
    if benchmark.kind == "labels":
        return [(len(benchmark.shots), len(benchmark.texts))]
    if benchmark.kind == "pairs":
        return [(cases, 2, 2)]
    most = max((len(case.texts) for case in benchmark.cases), default=0)
    return [(cases, most), (cases, 1, most)]


def _cosines(sides: Sides, pairs: Sequence[Pair]) -> Floats:
    rows = [
        {int(id): row for row, id in enumerate(each.ids)} for each in (sides.images, sides.texts)
    ]
    images = np.array([rows[0][image] for image, _ in pairs], np.int64)
    texts = np.array([rows[1][text] for _, text in pairs], np.int64)
    found = np.empty(len(pairs))
    for start in range(0, len(pairs), 4096):
        part = slice(start, start + 4096)
        one = np.asarray(sides.images["embedding"], np.float64)[images[part]]
        other = np.asarray(sides.texts["embedding"], np.float64)[texts[part]]
        found[part] = (one * other).sum(axis=1)
    return found
