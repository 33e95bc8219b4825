"""A small part of the Flickr8k test split, where the data are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import crossrank as cr
from crossrank_lite.encoder import LiteEncoder

DATA = os.environ.get("CROSSRANK_DATA")
PICTURES = 60


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="CROSSRANK_DATA does not name the folder with Flickr8k")
def test_captions_find_their_photographs(encoder: LiteEncoder) -> None:
    folder = Path(str(DATA)) / "flickr8k"
    rows = map(json.loads, (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines())
    chosen = [row for row in rows if row["split"] == "test"][:PICTURES]
    names = [row["filename"] for row in chosen]
    pictures = [cr.Item(name, image=folder / "images" / name) for name in names]
    captions = [cr.Item(f"{row['filename']}#0", row["captions"][0]) for row in chosen]
    gallery, queries = cr.encode(encoder, pictures), cr.encode(encoder, captions)
    qrels = {f"{name}#0": {name: 1} for name in names}
    base = cr.search(queries, gallery)
    reranked = cr.Pipeline("filip").rerank(base, queries, gallery)
    found = cr.evaluate(reranked, qrels, ["R@1", "R@10"], resamples=0)
    # chance is 1.7 and 16.7 per cent
    assert found["base"]["R@1"] > 40
    assert found["base"]["R@10"] > 85
    assert found["reranked"]["R@10"] > 85
