"""The banks of `mack_flickr8k.py`: from captions and boxes, sharpened, whitened, refined."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank_knowledge import (
    CaptionWords,
    KnowledgeBank,
    SpacyParser,
    build,
    refine,
    sharpened,
    whitened,
)
from crossrank_knowledge.regions import pool_under_box
from mack_data import Split


def make_banks(train: Split) -> None:
    """Build bank (a) from captions, (b) from boxes, and what is derived from them."""
    work, images, boxes = train.work, train.collection("images"), train.collection("boxes")
    words_file = work / "train_words.json"
    if not words_file.is_file():
        words = CaptionWords.from_captions(train.paths, train.captions, SpacyParser()).words
        words_file.write_text(json.dumps(words))
    words = json.loads(words_file.read_text())

    def captions() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for own, cells in zip(words, images["regions"], strict=True):
            yield " ".join(own), cells.astype(np.float32).mean(axis=0)

    def labelled() -> Iterator[tuple[str, NDArray[np.float32]]]:
        columns = (boxes["labels"], boxes["boxes"], images["regions"], images["token_boxes"])
        for labels, found, cells, places in zip(*columns, strict=True):
            for label, box in zip(labels, found, strict=True):
                yield label, pool_under_box(np.asarray(cells), np.asarray(places), tuple(box))

    bank = made(work / "bank_a", captions(), images.encoder, min_count=3)
    # pooled from the same grid under the detector's boxes, so that both banks serve one gallery
    boxes_bank = made(work / "bank_b", labelled(), images.encoder)
    some = images.take(range(0, len(images), 4))
    white = mapped(work / "bank_a_white", lambda: whitened(bank, some))
    mapped(work / "bank_b_white", lambda: whitened(boxes_bank, some))
    sharp = made(
        work / "bank_a_sharp",
        sharpened(white, zip(words, images["regions"], strict=True), keep=25),
        images.encoder,
    )
    mapped(work / "bank_a_sharp_white", lambda: whitened(sharp, some))
    for parent, out, options in (
        (white, "bank_a_white_refined", {"steps": 500, "learning_rate": 1e-3, "patience": 8}),
        (bank, "bank_a_refined", {"steps": 160}),
    ):
        refined = refine(parent, some, work / out, min_count=3, every=20, **options)
        accuracies = refined.data["refined"]["accuracies"]
        print(f"{out}: held-out cycle accuracy {accuracies[0]:.4f} -> {max(accuracies):.4f}")
        print(f"  every 20 steps: {', '.join(f'{each:.4f}' for each in accuracies)}", flush=True)


def made(out: Path, stream: Any, encoder: str | None, **options: Any) -> KnowledgeBank:
    if out.is_dir():
        return KnowledgeBank.open(out)
    bank = build(stream, out, encoder=encoder, **options)
    print(f"{out.name}: {len(bank)} words, {bank.regions} regions", flush=True)
    return bank


def mapped(out: Path, make: Callable[[], KnowledgeBank]) -> KnowledgeBank:
    if not out.is_dir():
        make().save(out)
        print(out.name, flush=True)
    return KnowledgeBank.open(out)
