r"""Dialogues on Flickr8k: what rounds of questions and answers buy, by how they are rewritten.

    python research/dialogue_study.py --dialogues DATA/flickr8k --features FEATURES \\
        -o docs/dialogue_flickr8k.md

The weight of `Fuse` is chosen on val by R@10 at round 5, for embeddings and for the pipeline apart;
test is looked at once.  A dialogue that has ended keeps its last query.
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
from dialogue_tables import Ranker, compared, gains, over_start, strangers, table, write

ROUNDS, LONG = 5, 10
WEIGHTS = (0.3, 0.5, 0.7, 1.0, 1.5)
RAW = "raw questions and answers"
NOISE = "pure noise: another picture's rounds"
PIPELINE = "filip:weight=0.5"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dialogues", type=Path, required=True)
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    pipeline = cr.Pipeline(cr.Stage("filip", fusion=cr.WeightedSum(0.5)))
    val = Split(given.dialogues, given.features, "val", pipeline)
    weight = max(WEIGHTS, key=lambda w: recall_at(val.last(Fuse(Rules(), w), False), 10)[-1])
    reranked = max(WEIGHTS, key=lambda w: recall_at(val.last(Fuse(Rules(), w), True), 10)[-1])
    print("weight of the dialogue:", weight, "with the pipeline:", reranked, flush=True)

    test = Split(given.dialogues, given.features, "test", pipeline)
    fuse = f"rules + fuse ({weight:g})"
    ways: dict[str, Reformulator] = {
        RAW: Concat(),
        "answers": Answers(),
        "statements (rules)": Rules(),
        fuse: Fuse(Rules(), weight),
    }
    ranks = {name: test.plain.by_rounds(test.talks, way, ROUNDS) for name, way in ways.items()}
    ranks[NOISE] = test.plain.by_rounds(strangers(test.talks), Concat(), ROUNDS)
    turns = np.array([each.rounds for each in test.talks])
    five, ten = turns >= ROUNDS, turns >= LONG
    few = test.plain.only(ten)
    talks = [each for each, long in zip(test.talks, ten, strict=True) if long]
    whole = {name: few.by_rounds(talks, way, LONG) for name, way in ways.items()}
    noise = [each for each, long in zip(strangers(test.talks), ten, strict=True) if long]
    whole[NOISE] = few.by_rounds(noise, Concat(), LONG)
    print("by embeddings: done", flush=True)
    fused = f"rules + fuse ({reranked:g})"
    second = {
        RAW: test.second.by_rounds(test.talks, Concat(), ROUNDS),
        fused: test.second.by_rounds(test.talks, Fuse(Rules(), reranked), ROUNDS),
        NOISE: test.second.by_rounds(strangers(test.talks), Concat(), ROUNDS),
    }
    write(
        given.output,
        [
            "# Dialogues on Flickr8k",
            "",
            "Made by `python research/dialogue_study.py`; what it shows stands in",
            "[dialogue.md](dialogue.md#what-it-buys).",
            "",
            *table(f"All {len(turns):,} dialogues of the test split", ranks),
            *gains(f"Over {RAW}, at round {ROUNDS}", ranks, RAW),
            *over_start(f"Over round 0, at round {ROUNDS}", ranks),
            *table(
                f"The {five.sum()} with at least five rounds",
                {name: own[five] for name, own in ranks.items()},
            ),
            *table(f"The {ten.sum()} with ten rounds", whole),
            *table(f"All of them, each part reranked by `{PIPELINE}` (first 100)", second),
            *compared(
                f"The pipeline, at round {ROUNDS}",
                [
                    (f"{fused}, over {RAW}", second[RAW][:, -1], second[fused][:, -1]),
                    (f"{fused}, over round 0", second[fused][:, 0], second[fused][:, -1]),
                    (f"{fused}, over embeddings alone", ranks[fuse][:, -1], second[fused][:, -1]),
                ],
            ),
        ],
    )


class Split:
    """The dialogues of a split, and their ranks in its pictures."""

    def __init__(self, dialogues: Path, features: Path, split: str, pipeline: cr.Pipeline) -> None:
        found = read_dialogues(dialogues / f"flickr8k_dialogues_{split}.jsonl")
        images = cr.Collection.open(features / split / "images")
        known = set(images.ids)
        self.talks = [each for each in found if Path(each.id).stem in known]
        targets = np.array([images.row(Path(each.id).stem) for each in self.talks])
        texts = EncodedTexts(encoder_of(images, None))
        self.plain = Ranker(images, targets, texts)
        self.second = Ranker(images, targets, texts, pipeline)

    def last(self, way: Reformulator, second: bool) -> np.ndarray:
        """Return the ranks at the last round alone."""
        ranker = self.second if second else self.plain
        return ranker.of([way.parts(each.until(ROUNDS)) for each in self.talks])[:, None]


if __name__ == "__main__":
    main()
