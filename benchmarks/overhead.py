"""What the engine costs besides the plugin's arithmetic and the gathering of features.

    python benchmarks/overhead.py [--rounds 15] [--json]

1,000 queries of 12 tokens, 100 candidates each out of 1,000 images of 49 tokens, 256 dimensions, in
one process and one thread, in processor time.  Of every `Pipeline.rerank` with filip that part is
timed, too, in which filip prepares and scores and features are gathered for it; what is left is the
engine.  As a check the same blocks are gathered and scored by filip alone, in turn with the whole
call: a difference of two large times, which moves by a twentieth with the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # for both calls; libraries read it when they are loaded

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank._engine import work
from crossrank._engine.block import feature_bytes, make_block
from crossrank._engine.partition import Weights, layout, portions
from crossrank.plugin.registry import load_reranker

QUERIES, DEPTH, IMAGES, WORDS, CELLS, SIZE = 1000, 100, 1000, 12, 49, 256


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()

    rng = np.random.default_rng(0)
    gallery = collection("image", IMAGES, CELLS, rng)
    queries = collection("text", QUERIES, WORDS, rng)
    similarity = rng.normal(size=(IMAGES, QUERIES))
    candidates = cr.Candidates.from_similarity(
        similarity, "t2i", DEPTH, image_ids=gallery.ids, text_ids=queries.ids
    )
    pipeline = cr.Pipeline(cr.Stage("filip"))
    scorer = load_reranker("filip")()
    context = cr.Context(queries, gallery, candidates, "t2i", threads=1)

    def whole() -> None:
        pipeline.rerank(candidates, queries, gallery, threads=1)

    def scorer_alone() -> None:
        needs = scorer.needs(context).of_blocks()
        state = scorer.prepare(context)
        weights = Weights(
            candidates.index,
            candidates.mask,
            feature_bytes(queries, needs.queries),
            feature_bytes(gallery, needs.candidates),
        )
        blocks = layout(weights, context.memory_budget)
        for rows in (part for block in blocks for part in portions(weights, block)):
            part = slice(rows.start, rows.stop)
            block = make_block(
                np.arange(rows.start, rows.stop),
                candidates.index[part],
                candidates.mask[part],
                None,
                queries,
                gallery,
                needs,
                "t2i",
            )
            scorer.score(block, state)

    seconds: dict[str, list[float]] = {"whole": [], "scorer": [], "alone": []}
    for turn in range(given.rounds + 1):
        with Inside(
            (type(scorer), "prepare"), (type(scorer), "score"), (work, "make_block")
        ) as own:
            taken = {"whole": timed(whole), "scorer": own.seconds}
        taken["alone"] = timed(scorer_alone)
        if turn:  # the first round warms up
            for name, values in seconds.items():
                values.append(taken[name])
    report(seconds, as_json=given.json)


class Inside:
    """Adds up what some functions take while others call them."""

    def __init__(self, *places: tuple[Any, str]) -> None:
        self.seconds = 0.0
        self._before = [(owner, name, getattr(owner, name)) for owner, name in places]

    def __enter__(self) -> Inside:
        for owner, name, function in self._before:
            setattr(owner, name, self._counting(function))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, function in self._before:
            setattr(owner, name, function)

    def _counting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - start

        return counting


def report(seconds: dict[str, list[float]], *, as_json: bool) -> None:
    least = {name: min(values) for name, values in seconds.items()}
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    # each call against what lay within itself
    own = [
        whole / part - 1 for whole, part in zip(seconds["whole"], seconds["scorer"], strict=True)
    ]
    shares = {
        "overhead_of_min": min(own),
        "overhead_of_median": statistics.median(own),
        "over_alone_of_min": least["whole"] / least["alone"] - 1,
        "over_alone_of_median": middle["whole"] / middle["alone"] - 1,
    }
    if as_json:
        print(json.dumps({"min": least, "median": middle, **shares}))
        return
    print(f"{QUERIES} queries x {DEPTH} candidates, filip {WORDS}x{CELLS}x{SIZE}")
    print(f"{'':34}{'min ms':>10}{'median ms':>12}")
    for name, label in (
        ("whole", "Pipeline.rerank"),
        ("scorer", "of that filip and its features"),
        ("alone", "filip and its features alone"),
    ):
        print(f"{label:34}{1000 * least[name]:10.1f}{1000 * middle[name]:12.1f}")
    for name, label in (("overhead", "engine overhead"), ("over_alone", "over filip alone")):
        values = (100 * shares[f"{name}_of_{which}"] for which in ("min", "median"))
        print(f"{label:34}" + "".join(f"{v:{w}.1f}%" for v, w in zip(values, (9, 11), strict=True)))


def collection(modality: str, count: int, tokens: int, rng: np.random.Generator) -> cr.Collection:
    rows = rng.normal(size=(count * tokens, SIZE))
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("f4")
    ids = [f"{modality}{row}" for row in range(count)]
    return cr.Collection(ids, modality, tokens=cr.Ragged(unit, np.full(count, tokens)))


def timed(call: Callable[[], None]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
