"""A reranker that writes down when it begins a block, for tests that kill what runs it."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from toys.basic import DotReranker


@dataclass(frozen=True, slots=True)
class Parameters:
    """`log`: where to write, ".begun" appended; `seconds`: how long a block takes.

    It is no file by itself: the content of a file among the parameters would be a part of the run.
    """

    log: str = ""
    seconds: float = 0.0


class Recorded(DotReranker):
    """The inner product of embeddings, slowly, with a line in a file for every block begun."""

    info = cr.RerankerInfo(
        "recorded",
        "inner product of embeddings",
        query_features=("embedding",),
        candidate_features=("embedding",),
    )
    Parameters = Parameters

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Write down process and block, in one write that no other can come between."""
        if self.params.log:
            name = f"{block.mask.shape[1]}:{block.queries.ids[0]}:{block.queries.ids[-1]}"
            log = os.open(f"{self.params.log}.begun", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(log, f"{os.getpid()} {name}\n".encode())
            os.close(log)
        time.sleep(self.params.seconds)
        return super().score(block, state)


@cr.hookimpl
def crossrank_reranker() -> type[cr.Reranker]:
    """Register it."""
    return Recorded


def begun(log: Path) -> dict[int, list[str]]:
    """Return the blocks that each process began, in order."""
    blocks: dict[int, list[str]] = defaultdict(list)
    file = Path(f"{log}.begun")
    for line in file.read_text().splitlines() if file.is_file() else ():
        process, _, block = line.partition(" ")
        blocks[int(process)].append(block)
    return blocks


def check_only_in_flight_again(log: Path, killed: Mapping[int, int]) -> None:
    """Hold what was begun against the rule: once, and once more for each kill in its middle.

    Parameters
    ----------
    log
        As the parameter, of one run.
    killed
        By process that was killed: how many blocks it may have had under way.
    """
    blocks = begun(log)
    times = Counter(block for each in blocks.values() for block in each)
    cut_short = Counter(
        block for process, count in killed.items() for block in blocks.get(process, [])[-count:]
    )
    wrong = {block: count for block, count in times.items() if count > 1 + cut_short[block]}
    assert not wrong, f"begun more often than they were cut short: {wrong}"


def collections(queries: int) -> tuple[cr.Candidates, cr.Collection, cr.Collection]:
    """Return lists of 20 out of 30 images."""
    rng = np.random.default_rng(7)
    texts = cr.Collection(
        [f"t{n}" for n in range(queries)], "text", embedding=rng.normal(size=(queries, 8))
    )
    images = cr.Collection(
        [f"i{n}" for n in range(30)], "image", embedding=rng.normal(size=(30, 8))
    )
    candidates = cr.Candidates.from_similarity(
        rng.normal(size=(30, queries)), "t2i", 20, image_ids=images.ids, text_ids=texts.ids
    )
    return candidates, texts, images
