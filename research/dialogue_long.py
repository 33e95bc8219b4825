r"""Longer dialogues on Flickr8k, and a pipeline that reranks every part of the query.

    python research/dialogue_long.py --dialogues DATA/flickr8k --features FEATURES \\
        -o docs/dialogue_long.md

The dialogues of test with ten rounds, by embeddings, weighted as `dialogue_study.py` chose; and the
first 200 dialogues, each part reranked by filip, whose weight in the dialogue is chosen on the
first 200 of val by R@10 at round 5.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import crossrank as cr
from crossrank_dialogue import Answers, Concat, Fuse, Reformulator, Rules
from dialogue_study import NOISE, RAW, ROUNDS, WEIGHTS, Split
from dialogue_tables import compared, gains, over_start, strangers, table, write

LONG, WEIGHT = 10, 0.7
TUNED_ON, TESTED_ON = 200, 200
FEW, MORE = (0, 5), (0, 5, 10)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dialogues", type=Path, required=True)
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    arguments.add_argument("--weight", type=float, help="With the reranker, without tuning.")
    given = arguments.parse_args()
    folders = given.dialogues, given.features
    pipeline = cr.Pipeline(cr.Stage("filip", fusion=cr.WeightedSum(0.5)))
    weight = given.weight
    if weight is None:
        val = Split(*folders, "val", pipeline, most=TUNED_ON)
        weight = max(WEIGHTS, key=lambda w: val.found(Fuse(Rules(), w)))
        print("weight of the dialogue with the pipeline:", weight, flush=True)

    fused, alone = f"rules + fuse ({weight:g})", f"rules + fuse ({WEIGHT:g}), embeddings alone"
    second = Split(*folders, "test", pipeline, most=TESTED_ON)
    first = Split(*folders, "test", most=TESTED_ON)
    reranked = {
        RAW: second.ranker.by_rounds(second.talks, Concat(), FEW),
        fused: second.ranker.by_rounds(second.talks, Fuse(Rules(), weight), FEW),
        NOISE: second.ranker.by_rounds(strangers(second.talks), Concat(), FEW),
        alone: first.ranker.by_rounds(first.talks, Fuse(Rules(), WEIGHT), FEW),
    }
    print("reranked: done", flush=True)
    test = Split(*folders, "test", least=LONG)
    ways: dict[str, Reformulator] = {
        RAW: Concat(),
        "answers": Answers(),
        "statements (rules)": Rules(),
        f"rules + fuse ({WEIGHT:g})": Fuse(Rules(), WEIGHT),
    }
    ranks = {name: test.ranker.by_rounds(test.talks, way, MORE) for name, way in ways.items()}
    ranks[NOISE] = test.ranker.by_rounds(strangers(test.talks), Concat(), MORE)
    write(
        given.output,
        [
            "# Longer dialogues, and dialogues with a reranker",
            "",
            "Made by `python research/dialogue_long.py`; what it shows stands in",
            "[dialogue.md](dialogue.md#what-it-buys).",
            "",
            *table(
                f"The {len(test.talks)} dialogues of the test split with ten rounds", ranks, MORE
            ),
            *gains(f"Over {RAW}, at round {LONG}", ranks, RAW),
            *over_start(f"Over round 0, at round {LONG}", ranks),
            *table(
                f"{TESTED_ON} dialogues, each part reranked by `filip:weight=0.5` (first 100)",
                reranked,
                FEW,
            ),
            *compared(
                f"The reranker, at round {ROUNDS}",
                [
                    (f"{fused}, over {RAW}", reranked[RAW][:, -1], reranked[fused][:, -1]),
                    (f"{fused}, over round 0", reranked[fused][:, 0], reranked[fused][:, -1]),
                    (f"{fused}, over {alone}", reranked[alone][:, -1], reranked[fused][:, -1]),
                ],
            ),
        ],
    )


if __name__ == "__main__":
    main()
