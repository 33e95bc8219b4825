"""HOSA's cached factorisation against solving the least squares of every pair, batched.

    OMP_NUM_THREADS=1 python benchmarks/hosa.py [--rounds 5] [--json]

200 texts of 6 to 16 words × 100 of 500 images of 81 regions, tokens of 192 numbers, fold 2 (the
sizes of ``lite``), one thread.  Each rival runs in a process of its own, in turn:

cached      `score` of the plugin, the images prepared before
prepare     what that costs, per image
batched     ``tlstsq`` and ``tproduct`` in torch on batches of 100 pairs (a text with its images,
            folded before), and the local score with them, on 20 texts
factor      the same, with the Cholesky factors of the images kept: two triangular solves per pair
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank._engine.block import make_block
from crossrank.plugin.registry import load_reranker

TEXTS, IMAGES, DEPTH, REGIONS, SIZE, FOLD, RIDGE = 200, 500, 100, 81, 192, 2, 0.1
SAMPLE = {"cached": TEXTS, "batched": 20, "factor": 20}


def world() -> tuple[cr.Collection, cr.Collection, cr.Candidates]:
    """Make texts, images and lists, the same in every process."""
    rng = np.random.default_rng(0)

    def items(name: str, modality: str, lengths: NDArray[np.int64]) -> cr.Collection:
        rows = rng.standard_normal((int(lengths.sum()), SIZE), np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        ids = [f"{name}{row}" for row in range(len(lengths))]
        return cr.Collection(ids, modality, tokens=cr.Ragged(rows, lengths))

    texts = items("t", "text", rng.integers(6, 17, TEXTS))
    images = items("i", "image", np.full(IMAGES, REGIONS))
    lists = {id: [f"i{row}" for row in rng.permutation(IMAGES)[:DEPTH]] for id in texts.ids}
    return texts, images, cr.Candidates.from_lists(lists, candidate_ids=images.ids)


def cached(count: int) -> tuple[float, float, NDArray[Any]]:
    """Return the seconds of preparing and scoring, and the scores."""
    texts, images, candidates = world()
    scorer = load_reranker("hosa")(beta=1.0, gamma=0.0, fold=FOLD, ridge=RIDGE)
    context = cr.Context(texts, images, candidates, "t2i")
    start = time.perf_counter()
    state = scorer.prepare(context)
    middle = time.perf_counter()
    needs = scorer.needs(context).of_blocks()
    rows = np.arange(count)
    block = make_block(
        rows, candidates.index[rows], candidates.mask[rows], None, texts, images, needs, "t2i"
    )
    scorer.score(block, state)
    again = time.perf_counter()
    scores = scorer.score(block, state).values
    return middle - start, time.perf_counter() - again, scores


def solved(count: int, keep_factors: bool) -> tuple[float, float, NDArray[Any]]:
    """Return the seconds of folding and scoring, and the scores."""
    import torch

    from crossrank_hosa import tlstsq, tproduct

    torch.set_num_threads(1)
    texts, images, candidates = world()
    start = time.perf_counter()
    flat = torch.from_numpy(images["tokens"].flat).view(IMAGES, REGIONS, SIZE)
    folded = flat.view(IMAGES, REGIONS, -1, FOLD).transpose(1, 2).contiguous()
    spectrum = torch.fft.rfft(folded, dim=-1).movedim(-1, 1)
    gram = spectrum.mH @ spectrum + RIDGE * torch.eye(REGIONS)
    factors = torch.linalg.cholesky(gram) if keep_factors else gram
    prepared = time.perf_counter() - start

    def score(query: int) -> NDArray[Any]:
        words = torch.from_numpy(texts["tokens"][query])
        listed = torch.from_numpy(candidates.index[query])
        t = words.view(len(words), -1, FOLD).transpose(0, 1)[None]
        v = folded[listed]
        if keep_factors:
            basis = spectrum[listed]
            given = torch.fft.rfft(t, dim=-1).movedim(-1, 1)
            solution = torch.cholesky_solve(basis.mH @ given, factors[listed])
            rebuilt = torch.fft.irfft((basis @ solution).movedim(1, -1), n=FOLD)
        else:
            rebuilt = tproduct(v, tlstsq(v, t, RIDGE))
        inner = (rebuilt * t).sum(dim=(1, 3))
        cosines = inner / rebuilt.square().sum(dim=(1, 3)).sqrt() / t.square().sum((1, 3)).sqrt()
        local = (flat[listed] @ words.T).amax(dim=1).mean(dim=1)
        return np.asarray((local + cosines.mean(dim=1)).numpy())

    with torch.inference_mode():
        score(0)
        start = time.perf_counter()
        scores = np.stack([score(query) for query in range(count)])
    return prepared, time.perf_counter() - start, scores


def timed(rival: str, folder: Path) -> tuple[float, float]:
    """Return seconds of preparing per image, and pairs per second; write the scores."""
    count = SAMPLE[rival]
    found = cached(count) if rival == "cached" else solved(count, rival == "factor")
    np.save(folder / f"{rival}.npy", found[2])
    return found[0] / IMAGES, count * DEPTH / found[1]


def flops(words: float = 11) -> dict[str, float]:
    """Return multiplications and additions per pair; the local score is in each.

    All Fourier slices of fold 2 are real; n3 slices of n1 × R.
    """
    n1 = SIZE // FOLD
    local = 2 * SIZE * REGIONS * words
    product = 2 * FOLD * n1 * REGIONS * words
    gram, cholesky = 2 * FOLD * n1 * REGIONS**2, FOLD * REGIONS**3 / 3
    solve = 2 * FOLD * 2 * REGIONS**2 * words / 2
    return {
        "cached": local + product,
        "batched": local + gram + cholesky + 2 * product + solve,
        "factor": local + 2 * product + solve,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rival", choices=list(SAMPLE), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rival is not None:
        print(json.dumps(timed(given.rival, given.folder)))
        return
    found: dict[str, list[list[float]]] = {name: [] for name in SAMPLE}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(given.rounds):
            for name in SAMPLE:
                command = [sys.executable, __file__, "--rival", name, "--folder", folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found[name].append(json.loads(done.stdout))
        scores = {name: np.load(Path(folder) / f"{name}.npy") for name in SAMPLE}
    apart = max(
        float(np.abs(scores["cached"][: len(each)] - each).max()) for each in scores.values()
    )
    record = {
        name: {
            "pairs per second, best": max(speed for _, speed in runs),
            "pairs per second, median": statistics.median(speed for _, speed in runs),
            "prepare, ms per image": 1000 * min(prepare for prepare, _ in runs),
            "MFLOP per pair": flops()[name] / 1e6,
        }
        for name, runs in found.items()
    }
    if given.json:
        print(json.dumps({"rivals": record, "largest difference": apart}, indent=1))
        return
    columns = list(record["cached"])
    print(f"{'':10}" + "".join(f"{column:>28}" for column in columns))
    for name, values in record.items():
        print(f"{name:10}" + "".join(f"{value:28,.2f}" for value in values.values()))
    for column in columns[:2]:
        ratio = record["cached"][column] / record["batched"][column]
        print(f"cached ÷ batched, {column}: {ratio:.1f}")
    print(f"largest difference between scores: {apart:.1e}")


if __name__ == "__main__":
    main()
