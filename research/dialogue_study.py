r"""Dialogues on Flickr8k: what five rounds of questions and answers buy, by how they are rewritten.

    python research/dialogue_study.py --dialogues DATA/flickr8k --features FEATURES \\
        -o docs/dialogue_flickr8k.md

The weight of `Fuse` is chosen on val by R@10 at round 5; test is looked at once.  A dialogue that
has ended keeps its last query.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import bootstrap_interval, randomisation_test
from crossrank_dialogue import (
    Answers,
    Concat,
    Dialogue,
    Fuse,
    Reformulator,
    Rules,
    bri,
    hits_at,
    log_rank,
    ranks_of,
    read_dialogues,
    recall_at,
)

ROUNDS = 5
WEIGHTS = (0.3, 0.5, 0.7, 1.0, 1.5)
Ranks = NDArray[np.int64]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dialogues", type=Path, required=True)
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    val = Split(given.dialogues, given.features, "val")
    weight = max(WEIGHTS, key=lambda w: recall_at(val.ranks(Fuse(Rules(), w)), 10)[-1])
    print("weight of the dialogue:", weight, flush=True)
    test = Split(given.dialogues, given.features, "test")
    ways: dict[str, Reformulator] = {
        "raw questions and answers": Concat(),
        "answers": Answers(),
        "statements (rules)": Rules(),
        f"rules + fuse ({weight:g})": Fuse(Rules(), weight),
    }
    ranks = {name: test.ranks(way) for name, way in ways.items()}
    ranks["pure noise: another picture's rounds"] = test.ranks(Concat(), strangers=True)
    long = np.array([each.rounds >= ROUNDS for each in test.dialogues])
    sections = [
        "# Dialogues on Flickr8k",
        "",
        "Made by `python research/dialogue_study.py`; what it shows stands in",
        "[dialogue.md](dialogue.md#what-it-buys).",
        "",
        *table("All 1,000 dialogues of the test split", ranks),
        *gains("Over raw questions and answers, at round 5", ranks, "raw questions and answers"),
        *over_start("Over round 0, at round 5", ranks),
        *table(
            f"The {long.sum()} with at least five rounds", {n: r[long] for n, r in ranks.items()}
        ),
    ]
    given.output.write_text("\n".join(sections).rstrip() + "\n", encoding="utf-8")


class Split:
    """The dialogues of a split, its pictures, and the embeddings of every text asked for."""

    def __init__(self, dialogues: Path, features: Path, split: str) -> None:
        found = read_dialogues(dialogues / f"flickr8k_dialogues_{split}.jsonl")
        images = cr.Collection.open(features / split / "images")
        self.dialogues = [each for each in found if Path(each.id).stem in set(images.ids)]
        self.targets = np.array([images.row(Path(each.id).stem) for each in self.dialogues])
        self.images = np.asarray(images["embedding"], np.float64)
        self._known: dict[str, NDArray[np.float64]] = {}

    def ranks(self, way: Reformulator, *, strangers: bool = False) -> Ranks:
        """Return ``[dialogues, rounds + 1]`` the target's rank as the dialogue goes on."""
        talks = self._with_strangers() if strangers else self.dialogues
        columns = []
        for rounds in range(ROUNDS + 1):
            parts = [way.parts(each.until(rounds)) for each in talks]
            self._encode([part.text for own in parts for part in own])
            queries = np.stack(
                [sum(part.weight * self._known[part.text] for part in own) for own in parts]
            )
            columns.append(ranks_of(queries @ self.images.T, self.targets))
        return np.stack(columns, axis=1)

    def _with_strangers(self) -> list[Dialogue]:
        """Return every caption with the rounds of another picture."""
        shift = len(self.dialogues) // 2
        others = [*self.dialogues[shift:], *self.dialogues[:shift]]
        return [
            Dialogue(own.caption, other.turns, own.id)
            for own, other in zip(self.dialogues, others, strict=True)
        ]

    def _encode(self, texts: Sequence[str]) -> None:
        missing = sorted({text for text in texts if text not in self._known})
        if missing:
            vectors = cr.encode("lite", missing, "text", ("embedding",))["embedding"]
            self._known.update(zip(missing, np.asarray(vectors, np.float64), strict=True))


def table(title: str, ranks: Mapping[str, Ranks]) -> list[str]:
    """Return R@1, R@10 and the mean log rank per round, and the measures of the best so far."""
    rounds = range(ROUNDS + 1)
    lines = [f"## {title}", ""]
    for name, measure, digits in (
        ("R@1", lambda r: 100 * recall_at(r, 1), 1),
        ("R@10", lambda r: 100 * recall_at(r, 10), 1),
        ("mean log rank", log_rank, 3),
    ):
        lines += [f"| {name} at round | {' | '.join(map(str, rounds))} |", "|---" * 7 + "|"]
        for way, own in ranks.items():
            lines.append(f"| {way} | {' | '.join(f'{v:.{digits}f}' for v in measure(own))} |")
        lines.append("")
    lines += ["| best so far | BRI | Hits@10 after round 5 |", "|---|---|---|"]
    for way, own in ranks.items():
        lines.append(f"| {way} | {bri(own):.4f} | {100 * hits_at(own, 10)[-1]:.1f} |")
    return [*lines, ""]


def gains(title: str, ranks: Mapping[str, Ranks], before: str) -> list[str]:
    """Return what each way gains over another at the last round."""
    rows = [(way, ranks[before][:, -1], own[:, -1]) for way, own in ranks.items() if way != before]
    return compared(title, rows)


def over_start(title: str, ranks: Mapping[str, Ranks]) -> list[str]:
    """Return what each way gains over the caption alone."""
    return compared(title, [(way, own[:, 0], own[:, -1]) for way, own in ranks.items()])


def compared(title: str, rows: Sequence[tuple[str, Ranks, Ranks]]) -> list[str]:
    """Return gains in points with intervals and p; every dialogue has a picture of its own."""
    lines = [f"## {title}", "", "| | R@1 | 95 % | p | R@10 | 95 % | p |", "|---" * 7 + "|"]
    for way, before, after in rows:
        told = []
        for k in (1, 10):
            sums = 100.0 * ((after <= k).astype(np.float64) - (before <= k))[None]
            low, high = bootstrap_interval(sums, np.ones(sums.shape[1]))
            p = float(randomisation_test(sums)[0])
            told.append(f"{sums.mean():+.1f} | {low[0]:+.1f} … {high[0]:+.1f} | {p:.4f}")
        lines.append(f"| {way} | {' | '.join(told)} |")
    return [*lines, ""]


if __name__ == "__main__":
    main()
