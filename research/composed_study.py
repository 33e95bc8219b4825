"""Composed queries on Flickr8k's edits: late fusion over lite, and what rerankers add to it.

    python research/composed_study.py --edits DATA/flickr8k --features FEATURES -o docs/composed.md

EDITS holds ``flickr8k_edits_{val,test}.jsonl``; FEATURES holds ``{val,test}/images`` and
``{val,test}/regions``, what ``crossrank encode`` wrote of the split's pictures with ``lite``, ids
being file names without suffix.  Everything is tuned on val by R@10; test is looked at once.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import crossrank as cr
from crossrank_composed import Triplet, leave_out, read_edits
from crossrank_composed.encoder import fuse

DEPTH = 100
WEIGHTS = tuple(np.linspace(0, 1, 21).round(2).tolist())
STAGES = ("filip", "mack", "lite_itm")
STAGE_WEIGHTS = (0.1, 0.25, 0.5, 1.0, 2.0)
METRICS = ("R@1", "R@5", "R@10", "R@50")


@dataclass(frozen=True, slots=True)
class Split:
    """One split, encoded."""

    triplets: list[Triplet]
    gallery: cr.Collection
    pictures: np.ndarray
    edits: cr.Collection
    captions: cr.Collection

    @property
    def qrels(self) -> dict[str, str]:
        """Each query's target."""
        return {triplet.id: triplet.target for triplet in self.triplets}

    def lists(self, embedding: np.ndarray) -> cr.Candidates:
        """Return the hundred nearest pictures of every query but its reference."""
        queries = cr.Collection(self.edits.ids, "text", embedding=embedding)
        found = cr.search(queries, self.gallery, depth=DEPTH + 1)
        return leave_out(found, self.triplets, DEPTH)

    def fused(self, share: float) -> np.ndarray:
        """Return late fusion's embeddings, the picture having this share."""
        return fuse(self.pictures, self.edits["embedding"], share, 1 - share)


def read_split(name: str, edits: Path, features: Path) -> Split:
    gallery = cr.Collection.open(features / name / "images")
    regions = cr.Collection.open(features / name / "regions")
    gallery = gallery.with_features(regions=regions["regions"])
    path = edits / f"flickr8k_edits_{name}.jsonl"
    triplets = [
        replace(each, reference=Path(each.reference).stem, target=Path(each.target).stem)
        for each in read_edits(path)
    ]
    rows = {id: row for row, id in enumerate(gallery.ids)}
    pictures = np.asarray(gallery["embedding"])[[rows[each.reference] for each in triplets]]
    captions = [json.loads(line)["target_caption"] for line in path.read_text().splitlines()]
    names = ("embedding", "tokens", "token_text", "words")
    made = [
        cr.encode(
            "lite",
            [cr.Item(each.id, text) for each, text in zip(triplets, texts, strict=True)],
            features=names,
        )
        for texts in ([each.edit for each in triplets], captions)
    ]
    return Split(triplets, gallery, pictures, *made)


def r_at_10(lists: cr.Candidates | cr.Rankings, qrels: Mapping[str, str]) -> float:
    measured = cr.evaluate(lists, qrels, ["R@10"], resamples=0)
    return float(list(measured.rows.values())[-1]["R@10"])


def reranked(split: Split, lists: cr.Candidates, stage: str, weight: float) -> cr.Rankings:
    depth = 32 if stage == "lite_itm" else DEPTH
    pipeline = cr.Pipeline([cr.Stage(stage, depth=depth, fusion=cr.WeightedSum(weight))])
    return pipeline.rerank(lists, split.edits, split.gallery)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()

    val = read_split("val", options.edits, options.features)
    curve = {share: r_at_10(val.lists(val.fused(share)), val.qrels) for share in WEIGHTS}
    share = max(curve, key=lambda each: curve[each])
    print("share of the picture on val:", share, curve)
    base = val.lists(val.fused(share))
    chosen = {}
    for stage in STAGES:
        gains = {w: r_at_10(reranked(val, base, stage, w), val.qrels) for w in STAGE_WEIGHTS}
        chosen[stage] = max(gains, key=lambda each: gains[each])
        print(stage, gains, "of", curve[share], flush=True)

    test = read_split("test", options.edits, options.features)
    lists = test.lists(test.fused(share))
    systems: dict[str, cr.Candidates | Mapping[str, Mapping[str, float]]] = {
        "edit only": test.lists(np.asarray(test.edits["embedding"])),
        "picture only": test.lists(test.pictures),
        "late fusion": lists,
        "the target's own caption": test.lists(np.asarray(test.captions["embedding"])),
    }
    for stage, weight in chosen.items():
        name = f"late fusion + {stage} (weight {weight})"
        systems[name] = reranked(test, lists, stage, weight).to_run()
    against_edit = cr.evaluate(systems, test.qrels, METRICS, baseline="edit only")
    fused = {name: each for name, each in systems.items() if name.startswith("late fusion")}
    against_fusion = cr.evaluate(fused, test.qrels, METRICS, baseline="late fusion")
    print(against_edit, against_fusion, sep="\n\n")
    values = ", ".join(f"{each:g}: {value:.1f}" for each, value in curve.items())
    options.out.write_text(
        PAGE.format(
            share=share, curve=values, edit=against_edit.to_markdown(),
            fusion=against_fusion.to_markdown(), count=len(test.triplets), val=len(val.triplets),
        ),
        encoding="utf-8",
    )  # fmt: skip


PAGE = """# Composed queries

A reference picture, an edit in words, a target picture: {val} queries of Flickr8k's validation
split and {count} of its test split. The data is a stand-in: the edit is the difference of two
captions' scene graphs, the target one of the reference's 100 nearest pictures. The gallery is the
split's 1,000 pictures without the reference. Encoder `lite`; `composed` adds the unit embeddings of
picture and edit, weighted. Weights were tuned on val by R@10, test was looked at once. Regenerate:

```sh
python research/composed_study.py --edits DATA/flickr8k --features FEATURES -o docs/composed.md
```

Share of the picture, R@10 on val: {curve}. Chosen: {share}.

## Against the edit alone

{edit}

## Reranked by the edit, against late fusion

The rerankers see the edit only, and are fused with the base score. `mack` has the bank that comes
along, and abstains from an edit without a noun that it knows.

{fusion}
"""


if __name__ == "__main__":
    main()
