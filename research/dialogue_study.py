r"""Dialogues on Flickr8k: what five rounds of questions and answers buy, by how they are rewritten.

    python research/dialogue_study.py --dialogues DATA/flickr8k --features FEATURES \\
        -o docs/dialogue_flickr8k.md

The weight of `Fuse` is chosen on val by R@10 at round 5; test is looked at once.  A dialogue that
has ended keeps its last query.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import crossrank as cr
from crossrank_dialogue import (
    Answers,
    Concat,
    Fuse,
    Reformulator,
    Rules,
    read_dialogues,
    recall_at,
)
from crossrank_dialogue.queries import EncodedTexts, encoder_of
from dialogue_tables import Ranker, gains, over_start, strangers, table, write

ROUNDS = 5
WEIGHTS = (0.3, 0.5, 0.7, 1.0, 1.5)
RAW = "raw questions and answers"
NOISE = "pure noise: another picture's rounds"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dialogues", type=Path, required=True)
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    val = Split(given.dialogues, given.features, "val")
    weight = max(WEIGHTS, key=lambda w: val.found(Fuse(Rules(), w)))
    print("weight of the dialogue:", weight, flush=True)
    test = Split(given.dialogues, given.features, "test")
    ways: dict[str, Reformulator] = {
        RAW: Concat(),
        "answers": Answers(),
        "statements (rules)": Rules(),
        f"rules + fuse ({weight:g})": Fuse(Rules(), weight),
    }
    ranks = {name: test.ranker.by_rounds(test.talks, way, ROUNDS) for name, way in ways.items()}
    ranks[NOISE] = test.ranker.by_rounds(strangers(test.talks), Concat(), ROUNDS)
    long = np.array([each.rounds >= ROUNDS for each in test.talks])
    write(
        given.output,
        [
            "# Dialogues on Flickr8k",
            "",
            "Made by `python research/dialogue_study.py`; what it shows stands in",
            "[dialogue.md](dialogue.md#what-it-buys).",
            "",
            *table("All 1,000 dialogues of the test split", ranks),
            *gains(f"Over {RAW}, at round {ROUNDS}", ranks, RAW),
            *over_start(f"Over round 0, at round {ROUNDS}", ranks),
            *table(
                f"The {long.sum()} with at least five rounds",
                {name: own[long] for name, own in ranks.items()},
            ),
        ],
    )


class Split:
    """The dialogues of a split, and their ranks in its pictures."""

    def __init__(
        self,
        dialogues: Path,
        features: Path,
        split: str,
        pipeline: cr.Pipeline | None = None,
        least: int = 0,
        most: int | None = None,
    ) -> None:
        found = read_dialogues(dialogues / f"flickr8k_dialogues_{split}.jsonl")
        images = cr.Collection.open(features / split / "images")
        known = set(images.ids)
        own = [each for each in found if Path(each.id).stem in known]
        self.talks = [each for each in own if each.rounds >= least][:most]
        targets = np.array([images.row(Path(each.id).stem) for each in self.talks])
        self.ranker = Ranker(images, targets, EncodedTexts(encoder_of(images, None)), pipeline)

    def found(self, way: Reformulator) -> float:
        """Return R@10 at the last round."""
        ranks = self.ranker.of([way.parts(each.until(ROUNDS)) for each in self.talks])
        return float(recall_at(ranks[:, None], 10)[0])


if __name__ == "__main__":
    main()
