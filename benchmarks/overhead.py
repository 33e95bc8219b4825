"""What the engine costs besides the plugin's arithmetic and the gathering of features.

    python benchmarks/overhead.py [--rounds 15] [--json]

1,000 queries of 12 tokens, 100 candidates each out of 1,000 images of 49 tokens, 256 dimensions.
Two calls are timed in turn, in one process and one thread: the whole `Pipeline.rerank` with filip;
the same blocks gathered and scored by filip alone; and the difference is the engine.  Which comes
first alternates.  Beside minima and medians stands the median of the rounds' own ratios, which a
machine that is slower for a while disturbs least; times are those of the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from operator import truediv

os.environ["OMP_NUM_THREADS"] = "1"  # for both calls; libraries read it when they are loaded

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
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

    seconds: dict[str, list[float]] = {"whole": [], "scorer": []}
    for turn in range(given.rounds + 1):
        calls = [("whole", whole), ("scorer", scorer_alone)]
        for name, call in calls if turn % 2 else reversed(calls):
            taken = timed(call)
            if turn:  # the first round warms up
                seconds[name].append(taken)
    report(seconds, as_json=given.json)


def report(seconds: dict[str, list[float]], *, as_json: bool) -> None:
    least = {name: min(values) for name, values in seconds.items()}
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    shares = {
        "overhead_of_min": least["whole"] / least["scorer"] - 1,
        "overhead_of_median": middle["whole"] / middle["scorer"] - 1,
        "median_overhead": statistics.median(map(truediv, *seconds.values())) - 1,
    }
    if as_json:
        print(json.dumps({"min": least, "median": middle, **shares}))
        return
    print(f"{QUERIES} queries x {DEPTH} candidates, filip {WORDS}x{CELLS}x{SIZE}")
    print(f"{'':24}{'min ms':>10}{'median ms':>12}")
    for name, label in (("whole", "Pipeline.rerank"), ("scorer", "filip and its features")):
        print(f"{label:24}{1000 * least[name]:10.1f}{1000 * middle[name]:12.1f}")
    print(
        f"{'engine overhead':24}{100 * shares['overhead_of_min']:9.1f}%"
        f"{100 * shares['overhead_of_median']:11.1f}%"
        f"{100 * shares['median_overhead']:11.1f}% in a round"
    )


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
