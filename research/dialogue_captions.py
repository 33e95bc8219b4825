r"""Captions as rounds: the query is the first caption of a picture, round t adds its caption t + 1.

    python research/dialogue_captions.py --dialogues DATA/flickr8k --features FEATURES \\
        -o docs/studies/dialogue_captions.md

Nobody asks and nothing is in rough English: what is left is how a query grows.  Weights are chosen
on val by R@10 at the last round; test is looked at once.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import crossrank as cr
from crossrank_dialogue import Answers, Dialogue, Fuse, Reformulator, recall_at
from crossrank_dialogue.dialogue import Turn
from crossrank_dialogue.queries import EncodedTexts, encoder_of
from crossrank_dialogue.reformulators import Part
from dialogue_tables import Ranker, gains, over_start, strangers, table, write

ROUNDS = 4
WEIGHTS = (0.3, 0.5, 0.7, 1.0, 1.5, 2.0)
JOINED = "one text, captions joined"


@dataclass(frozen=True, slots=True)
class Each(Reformulator):
    """Scores every caption apart, those that were added by a weight."""

    weight: float = 1.0

    def rewrite(self, dialogue: Dialogue) -> str:
        """Return all of them as one text."""
        return Answers().rewrite(dialogue)

    def parts(self, dialogue: Dialogue) -> tuple[Part, ...]:
        """Return a part per caption."""
        others = (Part(turn.answer, self.weight) for turn in dialogue.turns)
        return (Part(dialogue.caption), *others)


@dataclass(frozen=True, slots=True)
class Last(Reformulator):
    """Forgets all but the last caption."""

    def rewrite(self, dialogue: Dialogue) -> str:
        """Return it."""
        return dialogue.turns[-1].answer if dialogue.turns else dialogue.caption


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dialogues", type=Path, required=True)
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    val, talks = split(given.dialogues, given.features, "val")

    def found(way: Reformulator) -> float:
        ranks = val.of([way.parts(each) for each in talks])
        return float(recall_at(ranks[:, None], 10)[0])

    fuse = max(WEIGHTS, key=lambda w: found(Fuse(Answers(), w)))
    each = max(WEIGHTS, key=lambda w: found(Each(w)))
    print("weights:", fuse, each, flush=True)
    test, talks = split(given.dialogues, given.features, "test")
    ways: dict[str, Reformulator] = {
        JOINED: Answers(),
        f"first caption + the others joined, fused ({fuse:g})": Fuse(Answers(), fuse),
        f"every caption apart ({each:g})": Each(each),
        "the last caption alone": Last(),
    }
    ranks = {name: test.by_rounds(talks, way, ROUNDS) for name, way in ways.items()}
    ranks["pure noise: another picture's captions, joined"] = test.by_rounds(
        strangers(talks), Answers(), ROUNDS
    )
    write(
        given.output,
        [
            "# Captions as rounds, on Flickr8k",
            "",
            "Made by `python research/dialogue_captions.py`; what it shows stands in",
            "[dialogue.md](../dialogue.md#what-it-buys). The query is a picture's first caption,",
            "each round adds the next one.",
            "",
            *table(f"All {len(talks):,} pictures of the test split", ranks),
            *gains(f"Over {JOINED}, at round {ROUNDS}", ranks, JOINED),
            *over_start(f"Over round 0, at round {ROUNDS}", ranks),
        ],
    )


def split(folder: Path, features: Path, name: str) -> tuple[Ranker, list[Dialogue]]:
    """Return a split's pictures as a ranker, and its captions as dialogues."""
    images = cr.Collection.open(features / name / "images")
    talks = []
    for line in (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["split"] == name:
            first, *others = record["captions"]
            turns = tuple(Turn("what else?", text) for text in others)
            talks.append(Dialogue(first, turns, Path(record["filename"]).stem))
    targets = np.array([images.row(each.id) for each in talks])
    return Ranker(images, targets, EncodedTexts(encoder_of(images, None))), talks


if __name__ == "__main__":
    main()
