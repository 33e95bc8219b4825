"""FILIP scoring on a GPU against what people use: one query, many candidates, from host to host.

    python benchmarks/device.py [--device cuda] [--rounds 15]

The shapes of `filip.py`, the candidates' tokens in float16 as a store holds them.  Every rival gets
the same arrays in the host's memory and gives scores in the host's memory, so that moving them
counts, as it does when a pipeline reranks; "kernel" is the arithmetic alone, on tensors that lie on
the device.  Rounds are interleaved.  crossrank and torch compute in exact float32 (TF32 off), the
fused kernels in float16 with sums in float32; they need CUDA, and

    pip install late-interaction-kernels flash-maxsim

One that is missing, fails or disagrees is a row that says so.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crossrank as cr
from crossrank.plugin.torch_pairs import Items
from crossrank_filip.device_kernel import late_interaction_on, mean_over_queries
from filip import SHAPES, problem

TOLERANCE = 2e-3
"""What float16 products of unit rows may be off by."""
Run = Callable[[], Tensor]


@dataclass(frozen=True, slots=True)
class Work:
    """One query and its candidates, in the host's memory."""

    query: NDArray[np.float32]
    flat: NDArray[np.float16]
    lengths: NDArray[np.int64]
    device: str

    @property
    def offsets(self) -> Tensor:
        """``[N + 1]`` where each candidate begins."""
        return torch.from_numpy(np.concatenate([[0], np.cumsum(self.lengths)]))

    def moved(self) -> tuple[Tensor, Tensor]:
        """Return the query and the flat tokens of the candidates on the device."""
        sides = torch.from_numpy(self.query), torch.from_numpy(self.flat)
        return sides[0].to(self.device), sides[1].to(self.device)

    def padded(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``[N, T, D]`` and the mask ``[N, T]``."""
        parts = torch.split(flat, self.lengths.tolist())
        rows = torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
        lengths = torch.tensor(self.lengths, device=flat.device)
        return rows, torch.arange(rows.shape[1], device=flat.device) < lengths[:, None]


def crossrank(work: Work) -> tuple[Run, Run]:
    asked, listed = cr.Ragged(work.query, [len(work.query)]), cr.Ragged(work.flat, work.lengths)
    index = np.arange(len(work.lengths))[None]
    mask = np.ones(index.shape, np.bool_)
    queries, candidates = Items(asked, work.device), Items(listed, work.device)
    rows = torch.arange(len(work.lengths), device=work.device)
    longest = int(work.lengths.max())

    def whole() -> Tensor:
        return torch.from_numpy(late_interaction_on(work.device, asked, listed, index, mask)[0])

    def kernel() -> Tensor:
        sides = (
            queries.padded(torch.zeros_like(rows), len(work.query)),
            candidates.padded(rows, longest),
        )
        return mean_over_queries(*sides)

    return whole, kernel


def on_padded(work: Work, score: Callable[[Tensor, Tensor, Tensor], Tensor]) -> tuple[Run, Run]:
    """Return what scores padded tokens: query ``[L, D]``, ``[N, T, D]`` and the mask ``[N, T]``."""

    def whole() -> Tensor:
        query, flat = work.moved()
        return score(query, *work.padded(flat))

    query, flat = work.moved()
    rows, mask = work.padded(flat)
    return whole, lambda: score(query, rows, mask)


def with_torch(work: Work) -> tuple[Run, Run]:
    def score(query: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
        table = torch.einsum("ntd,ld->ntl", rows.float(), query)
        return table.masked_fill(~mask[:, :, None], -torch.inf).amax(dim=1).mean(dim=1)

    return on_padded(work, score)


def late_interaction_kernels(work: Work) -> tuple[Run, Run]:
    from late_interaction_kernels import maxsim

    def score(query: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = maxsim(query.half()[None], rows[None], d_mask=mask[None])[0]
        return found / len(query)

    return on_padded(work, score)


def flash_maxsim(work: Work) -> tuple[Run, Run]:
    from flash_maxsim import flash_maxsim_packed

    offsets = work.offsets.int().to(work.device)
    longest = int(work.lengths.max())

    def score(query: Tensor, flat: Tensor) -> Tensor:
        found: Tensor = flash_maxsim_packed(query, flat, offsets, longest)
        return found / len(query)

    query, flat = work.moved()
    return lambda: score(*work.moved()), lambda: score(query, flat)


RIVALS: dict[str, Callable[[Work], tuple[Run, Run]]] = {
    "crossrank": crossrank,
    "torch": with_torch,
    "late-interaction-kernels": late_interaction_kernels,
    "flash-maxsim": flash_maxsim,
}


def compare(work: Work, rounds: int) -> dict[str, list[list[float]] | str]:
    """Return per rival the seconds of every round (whole, kernel), or why there are none."""
    found: dict[str, Any] = {}
    runs: dict[str, tuple[Run, Run]] = {}
    expected: Tensor | None = None
    for name, rival in RIVALS.items():
        try:
            with torch.inference_mode():
                runs[name] = rival(work)
                both = [run().float().cpu() for run in runs[name]]
        except Exception as error:  # whatever a rival raises is its row
            runs.pop(name, None)
            found[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            continue
        expected = both[0] if expected is None else expected
        off = max(float((each - expected).abs().max()) for each in both)
        found[name] = [[], []] if off < TOLERANCE else f"disagrees by {off:.2g}"
    for _ in range(rounds):
        for name, both_runs in runs.items():
            for place, run in enumerate(both_runs):
                if not isinstance(found[name], str):
                    found[name][place].append(seconds(run, work.device))
    return found


@torch.inference_mode()
def seconds(run: Run, device: str) -> float:
    wait(device)
    start = time.perf_counter()
    run().cpu()
    wait(device)
    return time.perf_counter() - start


def wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    if torch.device(given.device).type == "cuda":
        if not torch.cuda.is_available():
            raise SystemExit("torch finds no GPU here; --device cpu:0 tries the script without one")
        print(torch.cuda.get_device_name(given.device))
    torch.backends.cuda.matmul.allow_tf32 = False
    print("words x candidates x tokens x numbers; milliseconds, minimum and median")
    for shape in SHAPES:
        for ragged in (False, True):
            query, flat, lengths = problem(*shape, ragged)
            work = Work(query, flat.astype(np.float16), lengths, given.device)
            print(" x ".join(map(str, shape)) + (", ragged" if ragged else ""))
            for name, timed in compare(work, given.rounds).items():
                print(f"  {name:26}{row(timed)}", flush=True)


def row(timed: list[list[float]] | str) -> str:
    if isinstance(timed, str):
        return timed
    cells = [f"{1e3 * min(each):9.3f} {1e3 * statistics.median(each):9.3f}" for each in timed]
    return f"from host to host {cells[0]}   kernel {cells[1]}"


if __name__ == "__main__":
    main()
