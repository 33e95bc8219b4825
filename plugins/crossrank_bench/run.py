"""A benchmark from beginning to end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.encoders import as_encoder, maker_name
from crossrank.plugin.pairs import text_asks
from crossrank_bench.benchmark import read_benchmark
from crossrank_bench.result import BenchResult, result_of
from crossrank_bench.scoring import (
    Given,
    check_encoder,
    encoded,
    for_pairs,
    given_scores,
    pipeline_scores,
)
from crossrank_bench.writing import check_folder, write_result

Stages: TypeAlias = cr.Pipeline | cr.Stage | str | Sequence[cr.Stage | str]


def bench(
    name: str,
    data: str | Path,
    *,
    pipeline: Stages | None = None,
    encoder: str | type[cr.Encoder] | cr.Encoder = "lite",
    scores: Given | str | Path | None = None,
    images: str | Path | Sequence[str | Path] | None = None,
    out: str | Path | None = None,
    force: bool = False,
    direction: str = "t2i",
    resamples: int = 9999,
    seed: int = 0,
    progress: cr.Progress | bool | None = None,
    cache_folder: str | Path | None = None,
) -> BenchResult:
    """Ask a benchmark which caption belongs to which picture.

    Parameters
    ----------
    name
        One of `crossrank_bench.NAMES`: ``"sugarcrepe"``, ``"winoground"``, ``"cola"``,
        ``"cola-single"``, ``"aro"``, ``"orders"``.
    data
        The folder of its files.
    pipeline
        Stages that score again what the cosine of embeddings scored; names stand for stages with
        everything at its default.  Its weighted sums take the statistics of the whole run, since
        lists of two have none worth the name.
    encoder
        Of pictures and texts.
    scores
        Scores that something else computed, instead of pipeline and encoder; an array, one per
        category, or the ``.npy`` or ``.npz`` file of them.  See
        `crossrank_bench.scoring.given_scores` for the shapes.
    images
        Where the pictures lie; `data` is searched too.
    out
        A folder for ``index.html``, ``result.json`` and ``cases.jsonl``.
    force
        Whether to overwrite these.
    direction
        Which side asks, for rerankers that score a pair differently: ``"t2i"`` or ``"i2t"``.
    resamples, seed
        Of the tests against the base.
    progress
        True for bars on standard error.
    cache_folder
        Where rerankers may keep what they prepared.

    Returns
    -------
    BenchResult
        Per category, with intervals, ties and what was skipped.

    Raises
    ------
    CrossrankError
        `InputError` for an unknown benchmark, a folder without its files or pictures, or scores
        that do not fit; `FormatError` for a damaged file; `FeatureMismatchError` for an encoder of
        one side only; `ParameterError` for a stage that compares within lists only.
    """
    if scores is not None and pipeline is not None:
        raise InputError("bench: give scores or a pipeline, not both")
    text_asks(direction)
    folder = None if out is None else check_folder(Path(out), force=force)
    benchmark = read_benchmark(name, data)
    if not benchmark.cases:
        raise InputError(f"bench {benchmark.name}: {data} holds no case")
    if scores is not None:
        found = given_scores(benchmark, _opened(scores))
        result = result_of(benchmark, {"scores": found}, "", resamples, seed)
    else:
        stages = _stages(pipeline)
        for stage in stages:
            for_pairs(stage)
        maker = as_encoder(encoder, {})
        check_encoder(maker)
        benchmark = benchmark.with_pictures(_folders(images, Path(data)))
        sides = encoded(benchmark, maker, stages, progress)
        systems = pipeline_scores(benchmark, sides, stages, direction, progress, cache_folder)
        result = result_of(benchmark, systems, maker_name(maker), resamples, seed)
    if folder is not None:
        write_result(result, folder)
    return result


def _stages(pipeline: Stages | None) -> tuple[cr.Stage, ...]:
    if pipeline is None:
        return ()
    if isinstance(pipeline, cr.Pipeline):
        return tuple(pipeline.stages)
    several = [pipeline] if isinstance(pipeline, cr.Stage | str) else pipeline
    return tuple(cr.Stage(each) if isinstance(each, str) else each for each in several)


def _folders(images: str | Path | Sequence[str | Path] | None, data: Path) -> list[Path]:
    given = [images] if isinstance(images, str | Path) else list(images or ())
    for folder in given:
        if not Path(folder).is_dir():
            raise InputError(f"bench: {folder} is not a folder of pictures; check --images")
    return [*map(Path, given), data if data.is_dir() else data.parent]


def _opened(scores: Given | str | Path) -> Given:
    if not isinstance(scores, str | Path):
        return scores
    try:
        found = np.load(scores, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"bench: {scores} holds no array of numpy: {error}") from error
    return found if isinstance(found, np.ndarray) else dict(found)
