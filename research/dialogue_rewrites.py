r"""Rewrites by a language model, where they exist: PlugIR's files, with texts as documents.

    python research/dialogue_rewrites.py --dialogues DATA/plugir \
        -o docs/studies/dialogue_rewrites.md

The pictures of VisDial's 2,064 dialogues are not here, so each is stood for by a text: what BLIP-2
answered to ChatGPT's questions about it (``ChatGPT_BLIP2.json``), as statements and without the
caption.  Queries are the captions with the rounds of people (VisDial), or PlugIR's rewrites
(``reconed.json``), which rewrite dialogues of their own, also answered by BLIP-2.  Texts are
compared by the text side of ``lite``; nothing is tuned but the weights, on the first 100; the next
500 are looked for among 1,000, and all of this is small since it runs on a processor.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import crossrank as cr
from crossrank.plugin.encoders import as_encoder
from crossrank_dialogue import (
    Concat,
    Dialogue,
    Fuse,
    Precomputed,
    Reformulator,
    Rules,
    log_rank,
    read_dialogues,
)
from crossrank_dialogue.queries import EncodedTexts
from dialogue_tables import Ranker, gains, over_start, strangers, table, write

ROUNDS, TUNED_ON, TESTED_ON, AMONG = 5, 100, 500, 1000
WEIGHTS = (0.3, 0.7, 1.0, 1.5, 3.0)
RAW = "raw questions and answers (people's)"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--dialogues", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    texts = EncodedTexts(as_encoder("lite", {}))
    talks = read_dialogues(given.dialogues / "VisDial_v1.0_queries_val.json")[:AMONG]
    others = with_unknown(given.dialogues / "ChatGPT_BLIP2.json")
    about = {talk.id: ", ".join(Rules().statements(talk)) for talk in others}
    documents = [about[talk.id] or "nothing is known" for talk in talks]
    gallery = cr.Collection(
        [talk.id for talk in talks], "text", embedding=texts.embeddings(documents)
    )
    told = json.loads((given.dialogues / "reconed.json").read_text(encoding="utf-8"))
    rewrites = Precomputed({record["img"]: record["dialog"] for record in told})
    tuned = Ranker(gallery, np.arange(TUNED_ON), texts)
    tested = slice(TUNED_ON, TUNED_ON + TESTED_ON)
    ranker = Ranker(gallery, np.arange(len(talks))[tested], texts)

    def best(inner: Reformulator) -> float:
        def found(weight: float) -> float:
            queries = [Fuse(inner, weight).parts(talk) for talk in talks[:TUNED_ON]]
            return float(log_rank(tuned.of(queries)[:, None])[0])

        return min(WEIGHTS, key=found)

    rules, model = best(Rules()), best(rewrites)
    print("weights:", rules, model, flush=True)
    ways: dict[str, Reformulator] = {
        RAW: Concat(),
        "statements (rules; people's)": Rules(),
        f"rules + fuse ({rules:g}; people's)": Fuse(Rules(), rules),
        "rewritten by a language model (PlugIR's own dialogues)": rewrites,
        f"caption + rewrite, fused ({model:g})": Fuse(rewrites, model),
    }
    ranks = {name: ranker.by_rounds(talks[tested], way, ROUNDS) for name, way in ways.items()}
    noise = ranker.by_rounds(strangers(talks)[tested], Concat(), ROUNDS)
    ranks["pure noise: another picture's rounds"] = noise
    write(
        given.output,
        [
            "# Rewrites by a language model, on PlugIR's files",
            "",
            "Made by `python research/dialogue_rewrites.py`; what it shows stands in",
            "[dialogue.md](../dialogue.md#what-it-buys). Texts stand for pictures: what BLIP-2",
            "answered to ChatGPT's questions, without the caption. Rewrites and documents have the",
            "same answerer, BLIP-2; people's rounds have not.",
            "",
            *table(f"{len(noise):,} dialogues of VisDial among {len(talks):,} texts", ranks),
            *gains(f"Over {RAW}, at round {ROUNDS}", ranks, RAW),
            *over_start(f"Over round 0, at round {ROUNDS}", ranks),
        ],
    )


def with_unknown(path: Path) -> list[Dialogue]:
    """Read dialogues of which some questions have no answer: these were not known."""
    records = json.loads(path.read_text(encoding="utf-8"))
    for record in records:
        lines = [
            line if line.partition("?")[2].strip() else f"{line} unknown"
            for line in record["dialog"][1:]
        ]
        record["dialog"] = [record["dialog"][0], *lines]
    return [Dialogue.from_json(record) for record in records]


if __name__ == "__main__":
    main()
