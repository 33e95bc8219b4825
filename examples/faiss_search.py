"""Rerank the results of a faiss index over embeddings that you have already.

    python examples/faiss_search.py

Everything here is made of random arrays: put your own in their place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import missing_package


def main() -> None:
    try:
        import faiss
    except ImportError as error:
        raise missing_package("faiss", "faiss", "this example") from error

    rng = np.random.default_rng(0)
    images = unit(rng.normal(size=(1000, 64)))
    cells = unit(rng.normal(size=(1000 * 49, 32)))
    texts = unit(rng.normal(size=(20, 64)))
    words = unit(rng.normal(size=(20 * 8, 32)))

    index = faiss.IndexFlatIP(64)
    index.add(images)
    distances, labels = index.search(texts, 50)

    gallery = cr.Collection(range(1000), "image", tokens=cr.Ragged(cells, [49] * 1000))
    queries = cr.Collection(range(20), "text", tokens=cr.Ragged(words, [8] * 20))
    candidates = cr.Candidates.from_faiss(distances, labels, index=index, candidate_ids=gallery.ids)
    pipeline = cr.Pipeline(cr.Stage("filip", fusion=cr.WeightedSum(0.5)))
    rankings = pipeline.rerank(candidates, queries, gallery, top_k=10)
    print(rankings["0"])


def unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    scaled = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(scaled, np.float32)


if __name__ == "__main__":
    main()
