r"""Dialogues on Flickr8k: what five rounds of questions and answers buy, by how they are rewritten.

    python research/dialogue_study.py --dialogues DATA/flickr8k --features FEATURES \\
        -o docs/studies/dialogue_flickr8k.md

The weight of `Fuse` is chosen on val by R@10 at round 5; test is looked at once.  A dialogue that
has ended keeps its last query.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import crossrank as cr
from crossrank_dialogue import (
    Answers,
    Concat,
    Dialogue,
    Fuse,
    Reformulator,
    Rules,
    read_dialogues,
    recall_at,
)
from crossrank_dialogue.queries import EncodedTexts, encoder_of
from dialogue_tables import Ranker, gains, over_start, strangers, table, write

ROUNDS, LONG = 5, 10
WEIGHTS = (0.3, 0.5, 0.7, 1.0, 1.5)
RAW = "raw questions and answers"
NOISE = "pure noise: another picture's rounds"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dialogues", type=Path, required=True)
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    val, test = (
        Split(given.dialogues, split, cr.Collection.open(given.features / split / "images"))
        for split in ("val", "test")
    )
    weight = max(WEIGHTS, key=lambda w: val.found(Fuse(Rules(), w)))
    print("weight of the dialogue:", weight, flush=True)
    ways: dict[str, Reformulator] = {
        RAW: Concat(),
        "answers": Answers(),
        "statements (rules)": Rules(),
        f"rules + fuse ({weight:g})": Fuse(Rules(), weight),
    }
    ranks = {name: test.ranker.by_rounds(test.talks, way, ROUNDS) for name, way in ways.items()}
    ranks[NOISE] = test.ranker.by_rounds(strangers(test.talks), Concat(), ROUNDS)
    longest = [each for each in test.talks if each.rounds >= LONG]
    ranker = test.ranker_of(longest)
    of_ten = {name: ranker.by_rounds(longest, way, LONG) for name, way in ways.items()}
    of_ten[NOISE] = ranker.by_rounds(strangers(longest), Concat(), LONG)
    long = np.array([each.rounds >= ROUNDS for each in test.talks])
    of_five = {name: own[long] for name, own in ranks.items()}
    write(
        given.output,
        [
            "# Dialogues on Flickr8k",
            "",
            "Made by `python research/dialogue_study.py`; what it shows stands in",
            "[dialogue.md](../dialogue.md#what-it-buys).",
            "",
            *table("All 1,000 dialogues of the test split", ranks),
            *gains(f"Over {RAW}, at round {ROUNDS}", ranks, RAW),
            *over_start(f"Over round 0, at round {ROUNDS}", ranks),
            *table(f"The {long.sum()} with at least five rounds", of_five),
            *gains(f"Of these, over {RAW}, at round {ROUNDS}", of_five, RAW),
            *table(f"The {len(longest)} with ten rounds", of_ten),
            *gains(f"Of these, over {RAW}, at round {LONG}", of_ten, RAW),
            *over_start(f"Of these, over round 0, at round {LONG}", of_ten),
        ],
    )


class Split:
    """The dialogues of a split, and their ranks in its pictures.

    Parameters
    ----------
    dialogues, split
        Where they lie, and which.
    images
        With ``embedding`` and what the pipeline reads.
    pipeline
        Reranks the first hundred; None for embeddings alone.
    """

    def __init__(
        self,
        dialogues: Path,
        split: str,
        images: cr.Collection,
        pipeline: cr.Pipeline | None = None,
    ) -> None:
        found = read_dialogues(dialogues / f"flickr8k_dialogues_{split}.jsonl")
        known = set(images.ids)
        self.talks = [each for each in found if Path(each.id).stem in known]
        self.texts = EncodedTexts(encoder_of(images, None))
        self.images, self.pipeline = images, pipeline
        self.ranker = self.ranker_of(self.talks)

    def ranker_of(self, talks: Sequence[Dialogue], pipeline: cr.Pipeline | None = None) -> Ranker:
        """Return what ranks the targets of some dialogues."""
        targets = np.array([self.images.row(Path(each.id).stem) for each in talks])
        return Ranker(self.images, targets, self.texts, pipeline or self.pipeline)

    def found(self, way: Reformulator, most: int | None = None) -> float:
        """Return R@10 at the last round, of the first dialogues."""
        talks = self.talks[:most]
        ranks = self.ranker_of(talks).of([way.parts(each.until(ROUNDS)) for each in talks])
        return float(recall_at(ranks[:, None], 10)[0])


if __name__ == "__main__":
    main()
