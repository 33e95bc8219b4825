r"""Dialogues on Flickr8k through the whole pipeline: every part of a query is reranked.

    python research/dialogue_reranked.py --dialogues DATA/flickr8k --features FEATURES \\
        -o docs/studies/dialogue_reranked.md

The pipeline and its weights are those that val chose for captions (`hubness_study.py`); the weight
of the dialogue is chosen on the first dialogues of val by R@10 at round 5.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import crossrank as cr
from crossrank_dialogue import Concat, Fuse, Reformulator, Rules
from dialogue_study import NOISE, RAW, ROUNDS, WEIGHTS, Split
from dialogue_tables import Ranks, compared, strangers, table, write
from hubness_study import opened

ALONE, TUNED_ON = 0.7, 200
"""The weight of the dialogue that val chose for embeddings, and how many dialogues choose it here.
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dialogues", type=Path, required=True)
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    bank = cr.Collection.open(given.features / "train" / "texts")
    pipeline = cr.Pipeline(
        [
            cr.Stage("nnn", fusion=cr.Replace(), params={"bank": bank, "k": 32, "alpha": 0.75}),
            cr.Stage("filip", fusion=cr.WeightedSum(1.5)),
            cr.Stage("lite_itm", depth=32, fusion=cr.WeightedSum(0.5)),
        ]
    )
    val, test = (
        Split(given.dialogues, split, opened(given.features / split, "images"), pipeline)
        for split in ("val", "test")
    )
    weight = max(WEIGHTS, key=lambda each: val.found(Fuse(Rules(), each), TUNED_ON))
    print("weight of the dialogue:", weight, flush=True)
    fused = f"rules + fuse ({weight:g})"
    start = test.ranker.of([Concat().parts(each.until(0)) for each in test.talks])

    def after(way: Reformulator) -> Ranks:
        last = test.ranker.of([way.parts(each.until(ROUNDS)) for each in test.talks])
        return np.stack([start, last], axis=1)

    ranks = {RAW: after(Concat()), fused: after(Fuse(Rules(), weight))}
    noise = test.ranker.of([Concat().parts(each.until(ROUNDS)) for each in strangers(test.talks)])
    ranks[NOISE] = np.stack([start, noise], axis=1)
    alone = f"rules + fuse ({ALONE:g}), embeddings alone"
    plain = Split(given.dialogues, "test", test.images)
    ranks[alone] = plain.ranker.by_rounds(plain.talks, Fuse(Rules(), ALONE), (0, ROUNDS))
    write(
        given.output,
        [
            "# Dialogues through the whole pipeline",
            "",
            "Made by `python research/dialogue_reranked.py`; what it shows stands in",
            "[dialogue.md](../dialogue.md#what-it-buys). The pipeline: nnn with a bank of train",
            "captions, filip 1.5, lite_itm 0.5 over the first 32 of 100 candidates.",
            "",
            *table(f"All {len(test.talks):,} dialogues of the test split", ranks, (0, ROUNDS)),
            *compared(
                f"At round {ROUNDS}",
                [
                    (f"{fused}, over {RAW}", ranks[RAW][:, -1], ranks[fused][:, -1]),
                    (f"{fused}, over round 0", start, ranks[fused][:, -1]),
                    (f"{fused}, over {alone}", ranks[alone][:, -1], ranks[fused][:, -1]),
                    ("round 0, over embeddings alone", ranks[alone][:, 0], start),
                ],
            ),
        ],
    )


if __name__ == "__main__":
    main()
