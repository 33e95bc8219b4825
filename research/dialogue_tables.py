"""What the studies of dialogues share: ranks by rounds, and tables of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import bootstrap_interval, randomisation_test
from crossrank_dialogue import (
    Dialogue,
    PartRanker,
    Reformulator,
    bri,
    hits_at,
    log_rank,
    ranks_of,
    recall_at,
)
from crossrank_dialogue.queries import EncodedTexts
from crossrank_dialogue.reformulators import Part

Ranks = NDArray[np.int64]


class Ranker:
    """Ranks of targets in a gallery, by embeddings or by a pipeline over the first candidates.

    Parameters
    ----------
    gallery
        What is searched.
    targets
        Per dialogue the row that is looked for.
    texts
        Encodes queries, shared between rankers.
    pipeline, depth
        As for `PartRanker`.
    """

    def __init__(
        self,
        gallery: cr.Collection,
        targets: NDArray[np.int64],
        texts: EncodedTexts,
        pipeline: cr.Pipeline | None = None,
        depth: int = 100,
    ) -> None:
        self.targets = targets
        self.embeddings = np.asarray(gallery["embedding"], np.float64)
        self.pipeline = pipeline
        self.ranker = PartRanker(pipeline, gallery, texts, depth)

    def by_rounds(
        self, talks: Sequence[Dialogue], way: Reformulator, rounds: int | Sequence[int]
    ) -> Ranks:
        """Return ``[dialogues, rounds + 1]``, or some rounds of these.

        A dialogue that has ended keeps its last query.
        """
        columns = []
        for after in range(rounds + 1) if isinstance(rounds, int) else rounds:
            columns.append(self.of([way.parts(each.until(after)) for each in talks]))
        return np.stack(columns, axis=1)

    def of(self, queries: Sequence[tuple[Part, ...]]) -> Ranks:
        """Return ``[queries]`` the target's rank; what was not reranked keeps its base rank."""
        base = ranks_of(self.ranker.vectors(queries) @ self.embeddings.T, self.targets)
        if self.pipeline is None:
            return base
        ids = [str(number) for number in range(len(queries))]
        matrix = self.ranker(ids, queries).to_similarity()
        listed = np.isfinite(matrix[np.arange(len(queries)), self.targets])
        return np.where(listed, ranks_of(matrix, self.targets), base)


def strangers(talks: Sequence[Dialogue]) -> list[Dialogue]:
    """Return every caption with the rounds of another picture: pure noise."""
    shift = len(talks) // 2
    others = [*talks[shift:], *talks[:shift]]
    return [
        Dialogue(own.caption, other.turns, own.id) for own, other in zip(talks, others, strict=True)
    ]


def table(title: str, ranks: Mapping[str, Ranks], some: Sequence[int] | None = None) -> list[str]:
    """Return R@1, R@10 and the mean log rank per round, and the measures of the best so far.

    Where columns are `some` of the rounds only, there is no best so far.
    """
    rounds = range(next(iter(ranks.values())).shape[1]) if some is None else some
    lines = [f"## {title}", ""]
    for name, measure, digits in (
        ("R@1", lambda r: 100 * recall_at(r, 1), 1),
        ("R@10", lambda r: 100 * recall_at(r, 10), 1),
        ("mean log rank", log_rank, 3),
    ):
        lines.append(f"| {name} at round | {' | '.join(map(str, rounds))} |")
        lines.append("|---" * (len(rounds) + 1) + "|")
        for way, own in ranks.items():
            lines.append(f"| {way} | {' | '.join(f'{v:.{digits}f}' for v in measure(own))} |")
        lines.append("")
    if some is not None:
        return lines
    lines += [f"| best so far | BRI | Hits@10 after round {rounds[-1]} |", "|---|---|---|"]
    for way, own in ranks.items():
        lines.append(f"| {way} | {bri(own):.4f} | {100 * hits_at(own, 10)[-1]:.1f} |")
    return [*lines, ""]


def gains(
    title: str, ranks: Mapping[str, Ranks], before: str, skip: Sequence[str] = ()
) -> list[str]:
    """Return what each way gains over another at the last round."""
    rows = [
        (way, ranks[before][:, -1], own[:, -1])
        for way, own in ranks.items()
        if way != before and way not in skip
    ]
    return compared(title, rows)


def over_start(title: str, ranks: Mapping[str, Ranks]) -> list[str]:
    """Return what each way gains over the caption alone."""
    return compared(title, [(way, own[:, 0], own[:, -1]) for way, own in ranks.items()])


def compared(title: str, rows: Sequence[tuple[str, Ranks, Ranks]]) -> list[str]:
    """Return gains with intervals and p; every dialogue has a picture of its own."""
    lines = [
        f"## {title}",
        "",
        "| | R@1 | 95 % | p | R@10 | 95 % | p | log rank | 95 % | p |",
        "|---" * 10 + "|",
    ]
    for way, before, after in rows:
        told = []
        for k in (1, 10):
            sums = 100.0 * ((after <= k).astype(np.float64) - (before <= k))
            told.append(_difference(sums, 1))
        told.append(_difference(np.log(after) - np.log(before), 3))
        lines.append(f"| {way} | {' | '.join(told)} |")
    return [*lines, ""]


def _difference(values: NDArray[np.float64], digits: int) -> str:
    sums = values[None]
    low, high = bootstrap_interval(sums, np.ones(sums.shape[1]))
    p = float(randomisation_test(sums)[0])
    return f"{sums.mean():+.{digits}f} | {low[0]:+.{digits}f} … {high[0]:+.{digits}f} | {p:.4f}"


def write(path: Path, lines: Sequence[str]) -> None:
    """Write a page."""
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
