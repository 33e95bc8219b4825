"""FILIP scoring against what people use: one query, many candidates, on the CPU.

    python benchmarks/filip.py [--rounds 15] [--case N] [--json]

All score in exact float32, ragged lists too.

Every rival runs in a process of its own, which makes the same arrays from the same seed; the rounds
are interleaved, so that a noisy machine disturbs all alike.  Scores are compared before anything is
timed.  One that crashes, is missing or disagrees is a row that says so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPES = ((32, 128, 196, 256), (32, 128, 256, 768), (32, 1000, 128, 128), (77, 128, 257, 1024))
CASES = [(*shape, ragged) for shape in SHAPES for ragged in (False, True)]
OURS = "crossrank"
PAUSE = 0.05
"""Seconds for the threads of the rival before to stop spinning; then a call warms up caches."""
Scorer = Callable[[], NDArray[Any]]
Problem = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


def problem(words: int, count: int, tokens: int, dim: int, ragged: bool) -> Problem:
    """Return query tokens, flat candidate tokens, and how many each candidate has."""
    rng = np.random.default_rng(dim)
    query = unit(rng.standard_normal((words, dim), np.float32))
    lengths = rng.integers(tokens // 2, tokens + 1, count) if ragged else np.full(count, tokens)
    # scores spread by about 0.05, as those of the lite encoder do within its first 100 candidates
    relevance = np.repeat(rng.uniform(0, 0.22, count), lengths)[:, None].astype(np.float32)
    about = query[rng.integers(words, size=len(relevance))]
    noise = unit(rng.standard_normal((len(relevance), dim), np.float32))
    return query, unit(relevance * about + noise), lengths.astype(np.int64)


def unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), np.float32)


def with_crossrank(query: Any, flat: Any, lengths: Any) -> Scorer:
    import crossrank as cr
    from crossrank_filip.interaction import late_interaction

    asked, listed = cr.Ragged(query, [len(query)]), cr.Ragged(flat, lengths)
    index = np.arange(len(lengths))[None]
    mask = np.ones(index.shape, bool)
    return lambda: late_interaction(asked, listed, index, mask)[0]


def with_numpy(query: Any, flat: Any, lengths: Any) -> Scorer:
    starts = np.cumsum(lengths) - lengths
    if (lengths == lengths[0]).all():
        shape = (len(lengths), int(lengths[0]), len(query))
        return lambda: (flat @ query.T).reshape(shape).max(axis=1).mean(axis=1)
    return lambda: np.maximum.reduceat(flat @ query.T, starts, axis=0).mean(axis=1)


def with_torch(query: Any, flat: Any, lengths: Any) -> Scorer:
    import torch

    words = torch.from_numpy(query)
    parts = torch.split(torch.from_numpy(flat), lengths.tolist())
    padded = torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
    count, width, dim = padded.shape
    padding = torch.arange(width)[None] >= torch.from_numpy(lengths)[:, None]
    some = bool(padding.any())

    def score() -> NDArray[np.float32]:
        table = torch.mm(padded.view(-1, dim), words.T).view(count, width, -1)
        if some:
            table.masked_fill_(padding[..., None], -torch.inf)
        found: NDArray[np.float32] = table.amax(dim=1).mean(dim=1).numpy()
        return found

    return score


def with_fast_maxsim(query: Any, flat: Any, lengths: Any) -> Scorer:
    import fast_maxsim

    if (lengths == lengths[0]).all():
        stacked = flat.reshape(len(lengths), int(lengths[0]), -1)
        return lambda: fast_maxsim.maxsim_scores(query, stacked) / len(query)
    parts = np.split(flat, np.cumsum(lengths)[:-1])
    return lambda: np.asarray(fast_maxsim.maxsim_scores_variable(query, parts)) / len(query)


RIVALS: dict[str, Callable[[Any, Any, Any], Scorer | str]] = {
    OURS: with_crossrank,
    "numpy": with_numpy,
    "torch": with_torch,
    "fast-maxsim": with_fast_maxsim,
}


def serve(rival: str, case: int) -> None:
    """Answer each line of standard input with the seconds of one call; first with the scores."""
    scorer = RIVALS[rival](*problem(*CASES[case]))
    if isinstance(scorer, str):
        print(json.dumps(scorer), flush=True)
        return
    scores = scorer()
    print(json.dumps([float(score) for score in scores]), flush=True)
    for _ in sys.stdin:
        time.sleep(PAUSE)
        scorer()
        start = time.perf_counter()
        scorer()
        print(time.perf_counter() - start, flush=True)


def compare(case: int, rounds: int) -> dict[str, list[float] | str]:
    """Return per rival the seconds of every round, or why there are none."""
    found: dict[str, list[float] | str] = {}
    expected: NDArray[np.float64] | None = None
    running = {rival: started(rival, case) for rival in RIVALS}
    for rival, process in running.items():
        line = answer(process)
        if line is None:
            found[rival] = f"crashed: {complaint(process)}"
            continue
        first = json.loads(line)
        if isinstance(first, str):
            found[rival] = first
            continue
        scores = np.array(first)
        expected = scores if expected is None else expected
        agrees = np.allclose(scores, expected, atol=1e-5)
        found[rival] = [] if agrees else f"disagrees by {np.abs(scores - expected).max():.2g}"
    for _ in range(rounds):
        for rival, process in running.items():
            seconds = found[rival]
            if isinstance(seconds, str):
                continue
            line = answer(process, "once\n")
            if line is None:
                found[rival] = f"crashed: {complaint(process)}"
            else:
                seconds.append(float(line))
    for process in running.values():
        process.kill()
    return found


def started(rival: str, case: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--serve", rival, str(case)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def answer(process: subprocess.Popen[str], request: str = "") -> str | None:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(request)
        process.stdin.flush()
    except BrokenPipeError:
        return None
    return process.stdout.readline() or None


def complaint(process: subprocess.Popen[str]) -> str:
    process.wait()
    last = (process.stderr.read() if process.stderr else "").strip().splitlines()
    return last[-1] if last else f"exit code {process.returncode}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--json", action="store_true")
    choices = range(len(CASES))
    arguments.add_argument("--case", type=int, choices=choices, help="one shape only, by its place")
    arguments.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.serve:
        serve(given.serve[0], int(given.serve[1]))
        return
    records = []
    for case in range(len(CASES)) if given.case is None else [given.case]:
        words, count, tokens, dim, ragged = CASES[case]
        name = f"{words}x{count}x{tokens}x{dim}" + (" ragged" if ragged else "")
        found = compare(case, given.rounds)
        records.append({"shape": name, "rivals": found})
        if not given.json:
            show(name, found)
    if given.json:
        print(json.dumps(records))


def show(name: str, found: dict[str, list[float] | str]) -> None:
    timed = {rival: seconds for rival, seconds in found.items() if isinstance(seconds, list)}
    others = [seconds for rival, seconds in timed.items() if rival != OURS]
    columns = ("min ms", "median ms", "min : best rival's", "median : best rival's")
    print(f"{name:24}" + "".join(f"{each:>{len(each) + 3}}" for each in columns), flush=True)
    for rival, seconds in found.items():
        if isinstance(seconds, str):
            print(f"  {rival:22}{seconds}")
            continue
        measures = (min(seconds), statistics.median(seconds))
        best = (min(map(min, others)), min(map(statistics.median, others))) if others else None
        cells = [f"{1000 * each:.2f}" for each in measures]
        cells += [f"{a / b:.2f}" for a, b in zip(measures, best, strict=True)] if best else []
        shown = zip(cells, columns, strict=False)
        print(f"  {rival:22}" + "".join(f"{a:>{len(b) + 3}}" for a, b in shown), flush=True)


if __name__ == "__main__":
    main()
