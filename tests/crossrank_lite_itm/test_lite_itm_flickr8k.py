"""The weights that ship, on a part of the Flickr8k val split, where the data are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import crossrank as cr

DATA = os.environ.get("CROSSRANK_DATA")
PICTURES = 150


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="CROSSRANK_DATA does not name the folder with Flickr8k")
def test_captions_find_their_photographs_more_often() -> None:
    folder = Path(str(DATA)) / "flickr8k"
    rows = map(json.loads, (folder / "captions.jsonl").read_text(encoding="utf-8").splitlines())
    chosen = [row for row in rows if row["split"] == "val"][:PICTURES]
    pictures = [
        cr.Item(row["filename"], image=folder / "images" / row["filename"]) for row in chosen
    ]
    captions = [cr.Item(f"{row['filename']}#0", row["captions"][0]) for row in chosen]
    gallery = cr.encode("lite", pictures, features=("embedding", "regions"))
    queries = cr.encode("lite", captions, features=("embedding", "words", "tokens"))
    qrels = {f"{row['filename']}#0": {row["filename"]: 1} for row in chosen}
    base = cr.search(queries, gallery, depth=32)
    stage = cr.Stage("lite_itm", fusion=cr.WeightedSum(2.0))
    reranked = cr.Pipeline(stage).rerank(base, queries, gallery)
    found = cr.evaluate(reranked, qrels, ["R@1", "R@5"], resamples=0)
    assert found["reranked"]["R@1"] >= found["base"]["R@1"] + 3
    assert found["reranked"]["R@5"] >= found["base"]["R@5"]
