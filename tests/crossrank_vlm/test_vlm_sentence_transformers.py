"""The preset ``sentence-transformers`` against its own `CrossEncoder` on a saved toy model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from toys.cross_encoder import QUERY_LAST, save_cross_encoder

from .conftest import TEXTS, both, images, scored, texts


@pytest.fixture(scope="module", params=["query first", "document first"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sentence_transformers.cross_encoder.modules.logit_score")
    folder: Path = tmp_path_factory.mktemp(request.param.replace(" ", "_")) / "encoder"
    save_cross_encoder(folder, QUERY_LAST if request.param == "document first" else None)
    return folder


def theirs(folder: Path, queries: list[Any], documents: list[Any]) -> Any:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    pairs = [(query, document) for query in queries for document in documents]
    scores = model.predict(pairs, batch_size=5, show_progress_bar=False)
    return np.asarray(scores, np.float64).reshape(len(queries), len(documents))


def test_scores_are_those_of_its_cross_encoder(saved: Path, paths: list[str]) -> None:
    mixed = [{"image": path, "text": text} for path, text in zip(paths, TEXTS[::-1], strict=True)]
    sides: list[tuple[cr.Collection, list[Any]]] = [
        (texts("t"), list(TEXTS)),
        (images(paths, "i"), list(paths)),
        (both(paths, "b"), mixed),
    ]
    for number, (queries, asked) in enumerate(sides):
        for other, (gallery, listed) in enumerate(sides):
            if number and other and saved.parent.name.startswith("document"):
                # theirs hands pictures over in the order of the messages, whatever the template
                # does with these: the query's would stand in the document's place
                continue
            if (number, other) in ((0, 0), (1, 1), (2, 2)):
                gallery = cr.Collection(
                    [f"c{id}" for id in gallery.ids],
                    gallery.modality,
                    **{name: gallery[name] for name in gallery.features},
                )
            found = scored(queries, gallery, model=saved, preset="sentence-transformers")
            np.testing.assert_allclose(found, theirs(saved, asked, listed), atol=1e-6)
