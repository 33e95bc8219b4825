"""A picture and what should be different: ``composed_queries.py PHOTOS PICTURE "at night"``."""

from __future__ import annotations

import sys
from pathlib import Path

import crossrank as cr


def main(folder: str, picture: str, edit: str) -> None:
    photos = sorted(path for path in Path(folder).glob("*.jpg") if path != Path(picture))
    query: list[Path | str] = [Path(picture), edit]

    # one call: what the edit says is looked for in the photographs by late interaction
    for hit in cr.rerank(query, photos, "filip", encoder="composed", top_k=3):
        print(f"{hit.score:.3f}  {hit.id}")

    # or step by step: late fusion finds candidates, filip looks again
    gallery = cr.encode("composed", photos)
    queries = cr.encode("composed", [cr.Item("q", edit, picture)])
    candidates = cr.search(queries, gallery, depth=100)
    pipeline = cr.Pipeline([cr.Stage("filip", fusion=cr.WeightedSum(0.5))])
    for hit in pipeline.rerank(candidates, queries, gallery, top_k=3)["q"]:
        print(f"{hit.score:.3f}  {hit.id}  was {hit.base_rank}")


if __name__ == "__main__":
    main(*sys.argv[1:])
