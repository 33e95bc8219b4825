"""The drop-in call over loose pictures and a stored gallery, against a pipeline of stored lists.

    python benchmarks/drop_in.py PICTURES [--queries 100] [--depth 50] [--pictures 500] [--rounds 3]

A folder of pictures is encoded by `lite`; made-up queries take 50 of them each.  Timed, in one
process: encoding alone; the first calls over loose paths, which encode too, query by query and, of
copies of the pictures, all queries in one call; then in turn, query by query, the second calls over
the same paths, calls over the stored gallery by id, and `Pipeline.rerank` of the same list from
features in memory and from a saved gallery; then all queries in one call each.  Ratios are to the
pipeline over features in memory and, `on_disk`, to that over the saved gallery.  Pictures that are
opened are counted; times are those of the processor, in one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # libraries read it when they are loaded

import numpy as np
from PIL import Image

import crossrank as cr
from crossrank.plugin.files import IMAGE_SUFFIXES

WORDS = [
    "a",
    "dog",
    "cat",
    "man",
    "woman",
    "child",
    "red",
    "blue",
    "ball",
    "water",
    "grass",
    "running",
    "jumping",
    "two",
    "people",
    "street",
]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--queries", type=int, default=100)
    arguments.add_argument("--depth", type=int, default=50)
    arguments.add_argument("--pictures", type=int, default=500)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--reranker", default="filip")
    given = arguments.parse_args()
    found = sorted(p for p in given.folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    rng = np.random.default_rng(0)
    photos = found[: given.pictures]
    texts = [" ".join(rng.choice(WORDS, 8)) for _ in range(given.queries)]
    rows = [rng.choice(len(photos), given.depth, replace=False) for _ in texts]
    scores = [np.sort(rng.normal(size=given.depth))[::-1] for _ in texts]
    with tempfile.TemporaryDirectory() as folder:
        report = measured(given, photos, texts, rows, scores, Path(folder))
    print(json.dumps(report, indent=1))


def measured(
    given: argparse.Namespace,
    photos: list[Path],
    texts: list[str],
    rows: list[Any],
    scores: list[Any],
    folder: Path,
) -> dict[str, Any]:
    """Return what everything takes."""
    cr.rerank(texts[0], photos[:2], given.reranker, cache=False)  # loads the weights
    needed = cr.Stage(given.reranker).scorer.info
    of_candidates = needed.candidate_features or ("tokens",)
    of_queries = needed.query_features or ("tokens",)
    gallery, pictures_alone = timed(lambda: cr.encode("lite", photos, "image", of_candidates))
    queries, texts_alone = timed(
        lambda: [cr.encode("lite", [cr.Item("0", text)], "text", of_queries) for text in texts]
    )
    asked, texts_together = timed(lambda: cr.encode("lite", texts, "text", of_queries))
    gallery.save(folder / "gallery")
    saved = cr.Collection.open(folder / "gallery")
    pipeline = cr.Pipeline([cr.Stage(given.reranker)])
    paths = [[photos[row] for row in own] for own in rows]
    ids = [[str(path) for path in own] for own in paths]
    lists = [
        cr.Candidates.from_lists(
            [own], scores=[base], query_ids=["0"], candidate_ids=gallery.ids, direction="t2i"
        )
        for own, base in zip(ids, scores, strict=True)
    ]
    cache = folder / "features"
    calls: dict[str, Callable[[int], object]] = {
        "loose paths, second time": lambda n: cr.rerank(
            texts[n], paths[n], given.reranker, base_scores=scores[n], cache=cache, threads=1
        ),
        "stored gallery by id": lambda n: cr.rerank(
            texts[n], gallery, given.reranker, ids=ids[n], base_scores=scores[n], cache=cache,
            threads=1,
        ),
        "pipeline": lambda n: pipeline.rerank(lists[n], queries[n], gallery, threads=1),
        "pipeline, on disk": lambda n: pipeline.rerank(lists[n], queries[n], saved, threads=1),
    }  # fmt: skip
    whole = cr.Candidates.from_lists(
        ids,
        scores=scores,
        query_ids=[str(n) for n in range(len(texts))],
        candidate_ids=gallery.ids,
        direction="t2i",
    )
    together: dict[str, Callable[[int], object]] = {
        "loose paths, second time": lambda n: cr.rerank_many(
            texts, paths, given.reranker, base_scores=scores, cache=cache, threads=1
        ),
        "stored gallery by id": lambda n: cr.rerank_many(
            texts, gallery, given.reranker, ids=ids, base_scores=scores, cache=cache, threads=1
        ),
        "pipeline": lambda n: pipeline.rerank(whole, asked, gallery, threads=1),
        "pipeline, on disk": lambda n: pipeline.rerank(whole, asked, saved, threads=1),
    }
    distinct = len({row for own in rows for row in own})
    pictures = pictures_alone * distinct / len(photos)
    opened = Opened()
    _, first = timed(lambda: [calls["loose paths, second time"](n) for n in range(len(texts))])
    opened_first = opened.count
    copies = copied(photos, folder / "copies")
    new = [[copies[row] for row in own] for own in rows]
    _, first_together = timed(
        lambda: cr.rerank_many(
            texts, new, given.reranker, base_scores=scores, cache=folder / "others", threads=1
        )
    )
    opened_twice = opened.count
    return {
        "pictures": distinct,
        "encoding_alone_s": pictures + texts_alone,
        "first_calls_s": first,
        "first_over_encoding": first / (pictures + texts_alone),
        "first_one_call_s": first_together,
        "first_one_call_over_encoding": first_together / (pictures + texts_together),
        "opened_the_first_time": opened_first,
        "one query a call": compared(calls, len(texts), given.rounds),
        "all queries in one call": compared(together, 1, 3 * given.rounds),
        "opened_later": opened.count - opened_twice,
    }


def copied(photos: list[Path], folder: Path) -> list[Path]:
    """Return the same pictures under names that nobody has seen, written some time ago."""
    folder.mkdir()
    copies = [folder / f"{number}{photo.suffix}" for number, photo in enumerate(photos)]
    for photo, copy in zip(photos, copies, strict=True):
        shutil.copyfile(photo, copy)
        os.utime(copy, (0, 0))
    return copies


def compared(
    calls: dict[str, Callable[[int], object]], queries: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Return what each of some calls takes, made in turn."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        for n in range(queries):
            # in another order each time: who comes second finds the gallery's rows in the cache
            for name in rng.permutation(list(calls)).tolist():
                taken[name].append(timed(lambda call=calls[name], n=n: call(n))[1])
    base, disk = taken["pipeline"], taken["pipeline, on disk"]
    return {
        name: {
            "min_ms": 1000 * min(seconds),
            "median_ms": 1000 * statistics.median(seconds),
            "ratio_of_medians": statistics.median(seconds) / statistics.median(base),
            "ratio_of_minima": least(seconds, queries) / least(base, queries),
            "on_disk_of_medians": statistics.median(seconds) / statistics.median(disk),
            "on_disk_of_minima": least(seconds, queries) / least(disk, queries),
        }
        for name, seconds in taken.items()
    }


class Opened:
    """Counts the pictures that are opened."""

    def __init__(self) -> None:
        self.count = 0
        opening = Image.open

        def counting(*arguments: Any, **options: Any) -> Image.Image:
            self.count += 1
            return opening(*arguments, **options)

        Image.open = counting  # type: ignore[assignment]


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call returns, and its seconds of processor time, in one thread."""
    start = time.process_time()
    made = call()
    return made, time.process_time() - start


def least(seconds: list[float], queries: int) -> float:
    """Return the sum over queries of the quickest of all rounds."""
    return sum(min(seconds[n::queries]) for n in range(queries))


if __name__ == "__main__":
    main()
