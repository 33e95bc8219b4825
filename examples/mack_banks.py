"""The banks of `mack_flickr8k.py`: from captions, sharpened, refined, and from boxes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank_knowledge import CaptionWords, KnowledgeBank, SpacyParser, build, refine, sharpened
from crossrank_knowledge.regions import pool_under_box
from mack_data import Split


def make_banks(train: Split) -> None:
    """Build bank (a) from captions, its sharpened and refined versions, and bank (b) from boxes."""
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

    bank = made(work / "bank_a", captions(), images.encoder)
    # pooled from the same grid under the detector's boxes, so that both banks serve one gallery
    made(work / "bank_b", labelled(), images.encoder)
    for keep in (25, 10):
        made(
            work / f"bank_a_sharp{keep}",
            sharpened(bank, zip(words, images["regions"], strict=True), keep),
            images.encoder,
        )
    refined = refine(
        bank, images, work / "bank_a_refined", min_count=3, steps=600, every=25, patience=4
    )
    accuracies = refined.data["refined"]["accuracies"]
    print(f"held-out cycle accuracy {accuracies[0]:.4f} -> {max(accuracies):.4f} ({accuracies})")


def made(out: Path, stream: Any, encoder: str | None) -> KnowledgeBank:
    return KnowledgeBank.open(out) if out.is_dir() else build(stream, out, encoder=encoder)
