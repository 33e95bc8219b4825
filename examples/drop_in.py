"""Rerank what a working search returned, in one call.

    python examples/drop_in.py photos/*.jpg --query "a dog in the water"

The base scores here come from the same encoder's embeddings; put your own search in their place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import crossrank as cr


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("photos", nargs="+", type=Path)
    arguments.add_argument("--query", required=True)
    given = arguments.parse_args()

    photos = cr.encode("lite", given.photos, features=("embedding",))
    query = cr.encode("lite", [given.query], features=("embedding",))
    base_scores = photos["embedding"] @ query["embedding"][0]

    ranking = cr.rerank(given.query, given.photos, "filip", base_scores=base_scores)
    for hit in ranking[:10]:
        print(f"{hit.rank:2}  (was {hit.base_rank:2})  {hit.score:6.3f}  {hit.id}")


if __name__ == "__main__":
    main()
