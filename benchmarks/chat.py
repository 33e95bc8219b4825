"""What a round of a conversation costs beside a plain rerank of the same lists.

    python benchmarks/chat.py [--pictures 100000] [--rounds 15] [--json]

100,000 synthetic pictures of 16 tokens, 128 dimensions, depth 100, filip; a query is the caption
and what the dialogue adds, so two lists are reranked a round.  Timed in turn, in one process and
one thread: `Chat.answer`; the same texts encoded, searched for by one `crossrank.search` with their
weighted sum, and both lists reranked, by hand; that rerank alone; the same with the texts encoded;
and the search of a round.
Questions are timed apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_dialogue import Chat, DropQuestioner, Fuse, Rules, WordTopics
from crossrank_dialogue.nearest import Nearest

TOKENS, WORDS, SIZE, DEPTH, WEIGHT = 16, 12, 128, 100, 0.7


class Hashed(cr.Encoder):
    """Texts as random rows: what is timed is not the encoder."""

    info = cr.EncoderInfo(
        name="hashed",
        summary="random rows",
        features={"text": ("embedding", "tokens")},
        default_features=("embedding", "tokens"),
    )

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        """Return rows that depend on the text."""
        rows = [
            unit(np.random.default_rng(list(str(i.text).encode())).normal(size=(WORDS, SIZE)))
            for i in items
        ]
        means = unit(np.stack([own.mean(axis=0) for own in rows]))
        found = {"embedding": means, "tokens": cr.Ragged.from_list(rows)}
        return {name: found[name] for name in features}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--pictures", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=15)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()

    rng = np.random.default_rng(0)
    flat = np.empty((given.pictures * TOKENS, SIZE), np.float32)
    for start in range(0, len(flat), 1 << 16):
        part = flat[start : start + (1 << 16)]
        part[:] = unit(rng.standard_normal(part.shape, np.float32))
    gallery = cr.Collection(
        [f"p{row}" for row in range(given.pictures)],
        "image",
        encoder="hashed",
        embedding=unit(rng.standard_normal((given.pictures, SIZE), np.float32)),
        tokens=cr.Ragged(flat, np.full(given.pictures, TOKENS)),
    )
    pipeline = cr.Pipeline(cr.Stage("filip"))
    encoder = Hashed()
    questioner = DropQuestioner(WordTopics())
    chat = Chat(pipeline, gallery, Fuse(Rules(), WEIGHT), questioner, encoder=encoder, depth=DEPTH)
    chat.answer("a dog")
    chat.ask()

    seconds: dict[str, list[float]] = {
        name: [] for name in ("round", "plain", "rerank", "texts", "search", "question")
    }
    nearest = Nearest(gallery)
    for turn in range(given.rounds + 1):
        taken = {"question": timed(chat.another)}
        answer = f"a ball that says {turn}"
        taken["round"] = timed(partial(chat.answer, answer))
        texts = [part.text for part in chat.trace[-1].parts]
        taken["plain"] = timed(partial(by_hand, pipeline, encoder, gallery, texts))
        queries, lists = found(encoder, gallery, texts)
        taken["rerank"] = timed(partial(pipeline.rerank, lists, queries, gallery))
        taken["texts"] = timed(
            partial(encoded_and_reranked, pipeline, encoder, gallery, texts, lists)
        )
        vector = np.asarray(queries["embedding"][0] + WEIGHT * queries["embedding"][1], np.float64)
        taken["search"] = timed(partial(nearest, "q", vector, DEPTH))
        if turn:  # the first round warms up
            for name, value in taken.items():
                seconds[name].append(value)
    report(seconds, given.pictures, as_json=given.json)


def by_hand(
    pipeline: cr.Pipeline, encoder: cr.Encoder, gallery: cr.Collection, texts: Sequence[str]
) -> None:
    queries, lists = found(encoder, gallery, texts)
    pipeline.rerank(lists, queries, gallery)


def encoded_and_reranked(
    pipeline: cr.Pipeline,
    encoder: cr.Encoder,
    gallery: cr.Collection,
    texts: Sequence[str],
    lists: cr.Candidates,
) -> None:
    pipeline.rerank(lists, cr.encode(encoder, texts), gallery)


def found(
    encoder: cr.Encoder, gallery: cr.Collection, texts: Sequence[str]
) -> tuple[cr.Collection, cr.Candidates]:
    """Return texts encoded, and what their weighted sum finds, once for each of them."""
    queries = cr.encode(encoder, texts)
    weights = np.array([[1.0, WEIGHT]])
    total = cr.Collection(["sum"], "text", embedding=weights @ queries["embedding"])
    index = np.repeat(cr.search(total, gallery, DEPTH).index, len(texts), axis=0)
    scores = np.einsum("qd,qkd->qk", queries["embedding"], gallery["embedding"][index])
    mask = np.ones(index.shape, np.bool_)
    ids = queries.ids, gallery.ids, "t2i"
    return queries, cr.Candidates(index, scores.astype(np.float64), mask, *ids)


def report(seconds: dict[str, list[float]], pictures: int, *, as_json: bool) -> None:
    least = {name: min(values) for name, values in seconds.items()}
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {
        "over_plain": [each["round"] / each["plain"] for each in (least, middle)],
        "over_rerank": [
            (each["round"] - each["search"]) / each["rerank"] for each in (least, middle)
        ],
        "over_texts": [
            (each["round"] - each["search"]) / each["texts"] for each in (least, middle)
        ],
    }
    if as_json:
        print(json.dumps({"min": least, "median": middle, "ratios": ratios}))
        return
    print(f"{pictures:,} pictures, depth {DEPTH}, two lists, filip {WORDS}x{TOKENS}x{SIZE}")
    print(f"{'':40}{'min ms':>10}{'median ms':>12}")
    for name, label in (
        ("round", "Chat.answer"),
        ("plain", "encode, search and rerank by hand"),
        ("rerank", "that rerank alone"),
        ("texts", "the texts encoded, and that rerank"),
        ("search", "the search of a round"),
        ("question", "the question (146 topics, 40 pictures)"),
    ):
        print(f"{label:40}{1000 * least[name]:10.1f}{1000 * middle[name]:12.1f}")
    for row, kind in (
        ("a round over the same by hand", "over_plain"),
        ("without the search: over the rerank", "over_rerank"),
        ("without it: over encoding and rerank", "over_texts"),
    ):
        print(f"{row:40}{ratios[kind][0]:10.2f}{ratios[kind][1]:12.2f}")


def unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype("f4")
    return scaled


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
