"""Any reranker or pipeline as the teacher: scored over candidate lists, and kept on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import ScoreError, StoreError
from crossrank.plugin import as_progress
from crossrank.plugin.files import atomic_binary, atomic_file, read_json

FORMAT = "crossrank-teacher-scores/1"
MANIFEST = "teacher.json"
SHARD = 2000
"""Lists that one file of the cache holds: what a kill can cost."""

Teacher: TypeAlias = cr.Pipeline | cr.Stage | cr.Reranker | str
Floats: TypeAlias = NDArray[np.float32]


def as_pipeline(teacher: Teacher) -> cr.Pipeline:
    """Return the pipeline that a teacher is.

    A reranker, or the name of one, teaches with its own scores alone; a `crossrank.Stage` or a
    `crossrank.Pipeline` fuses as it says.
    """
    if isinstance(teacher, cr.Pipeline):
        return teacher
    if isinstance(teacher, cr.Stage):
        return cr.Pipeline(teacher)
    return cr.Pipeline(cr.Stage(teacher, fusion=cr.Replace()))


def teacher_fingerprint(teacher: Teacher) -> str:
    """Return a digest of the rerankers, their parameters, depths and fusions."""
    stages = as_pipeline(teacher).stages
    return cr.fingerprint(
        [[each.scorer.fingerprint(), each.depth, repr(each.fusion)] for each in stages]
    )


def teacher_scores(
    teacher: Teacher,
    candidates: cr.Candidates,
    queries: cr.Collection,
    gallery: cr.Collection,
    *,
    folder: str | Path | None = None,
    memory_budget: int | str = "4GB",
    progress: cr.Progress | bool | None = None,
) -> Floats:
    """Score candidate lists by a teacher.

    The scores of one list can be compared with each other, those of two lists only if the teacher's
    fusion says so (z-scores do not): a list is what the student learns an order from.

    Parameters
    ----------
    teacher
        A pipeline, stage, reranker, or a reranker's name.
    candidates, queries, gallery
        As for `crossrank.Pipeline.rerank`.
    folder
        Where scores are kept, 2,000 lists a file; a run that was killed goes on from there.
    memory_budget
        As for `crossrank.Pipeline.rerank`; lists over a large gallery go faster in large blocks.
    progress
        True for a bar on standard error, or a callable ``(what, done, total)``.

    Returns
    -------
    ndarray
        ``[Q, K]`` float32 in the places of ``candidates.index``; NaN where there is no candidate.

    Raises
    ------
    StoreError
        If the folder holds scores of another teacher, other lists or another split.
    ScoreError
        If the teacher gives NaN or infinity.
    """
    pipeline = as_pipeline(teacher)
    shards = _shards(pipeline, len(candidates))
    if folder is not None:
        _claim(Path(folder), _identity(pipeline, candidates, queries, gallery))
    scores = np.full(candidates.index.shape, np.nan, np.float32)
    report = as_progress(progress)
    for rows in shards:
        path = None if folder is None else Path(folder) / f"{rows.start:08d}.npy"
        found = None if path is None else _read(path, scores[rows].shape)
        if found is None:
            found = _score(pipeline, candidates.take(rows), queries, gallery, memory_budget)
            if path is not None:
                _write(path, found)
        scores[rows] = found
        report("teacher", rows.stop, len(candidates))
    return scores


def _shards(pipeline: cr.Pipeline, lists: int) -> list[slice]:
    """Cut the lists; a transductive teacher must see all queries at once."""
    whole = any(stage.scorer.info.transductive for stage in pipeline.stages)
    size = max(lists, 1) if whole else SHARD
    return [slice(start, min(start + size, lists)) for start in range(0, lists, size)]


def _score(
    pipeline: cr.Pipeline,
    part: cr.Candidates,
    queries: cr.Collection,
    gallery: cr.Collection,
    memory_budget: int | str,
) -> Floats:
    """Rerank, and put every score back where its candidate stands in the list."""
    rankings = pipeline.rerank(part, queries, gallery, memory_budget=memory_budget)
    matrix = np.full((len(part), len(part.candidate_ids)), np.nan, np.float32)
    rows, places = np.nonzero(rankings.mask)
    matrix[rows, rankings.index[rows, places]] = rankings.final[rows, places]
    scores = np.take_along_axis(matrix, np.where(part.mask, part.index, 0), axis=1)
    wrong = part.mask & ~np.isfinite(scores)
    if wrong.any():
        row, place = np.argwhere(wrong)[0]
        raise ScoreError(
            f"the teacher {pipeline!r} gave {scores[row, place]} to query {part.query_ids[row]!r} "
            f"and candidate {part.candidate_ids[part.index[row, place]]!r}; a teacher must have "
            "an opinion on every candidate, so fuse what abstains with a score that does not"
        )
    return np.where(part.mask, scores, np.float32(np.nan))


def _identity(
    pipeline: cr.Pipeline,
    candidates: cr.Candidates,
    queries: cr.Collection,
    gallery: cr.Collection,
) -> dict[str, str]:
    """Return what the scores depend on, each under the name an error will use."""
    lists = [candidates.index, candidates.mask, candidates.query_ids, candidates.candidate_ids]
    base = candidates.scores
    return {
        "format": FORMAT,
        "teacher": teacher_fingerprint(pipeline),
        "queries": queries.fingerprint(),
        "gallery": gallery.fingerprint(),
        "lists": cr.fingerprint([*lists, base]),
    }


def _claim(folder: Path, identity: dict[str, str]) -> None:
    """Write down whose scores a folder holds, or refuse it if they are somebody else's."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MANIFEST
    if not path.exists():
        if any(folder.glob("*.npy")):
            raise StoreError(f"cprd: {folder} holds files but no {MANIFEST}; choose a new folder")
        with atomic_file(path) as file:
            json.dump(identity, file, indent=1)
        return
    try:
        found = read_json(path)
        other = [name for name, value in identity.items() if found.get(name) != value]
    except (OSError, ValueError, AttributeError) as error:
        raise StoreError(f"cprd: {path} cannot be read: {error}; remove the folder") from error
    if other:
        raise StoreError(
            f"cprd: the teacher's scores in {folder} were made with another {' and '.join(other)}; "
            "choose another folder, or remove this one"
        )


def _read(path: Path, shape: tuple[int, ...]) -> Floats | None:
    """Open a finished file; one that is damaged is made again."""
    if not path.exists():
        return None
    try:
        scores: Floats = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return scores if scores.shape == shape and scores.dtype == np.float32 else None


def _write(path: Path, scores: Floats) -> None:
    with atomic_binary(path) as file:
        np.save(file, scores, allow_pickle=False)
