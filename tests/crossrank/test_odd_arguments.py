"""Whatever a caller writes in place of one argument: it works, or is one short error of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import CrossrankError
from crossrank.evaluation import as_qrels, winoground
from toys.basic import DotReranker, ToyEncoder
from toys.odd import odd

TEXTS = ["a cat", "a dog", "two dogs", "a red ball"]
LONGEST_MESSAGE = 1000

Call = tuple[Callable[..., object], dict[str, Any]]


@pytest.fixture(autouse=True)
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    cr.register(DotReranker)
    cr.register(ToyEncoder)
    yield


def calls(folder: Path) -> dict[str, Call]:
    photos = []
    for color in ("red", "green", "blue", "white", "black"):
        photos.append(folder / f"{color}.png")
        Image.new("RGB", (6, 4), color).save(photos[-1])
    queries, gallery = cr.encode("toy", TEXTS), cr.encode("toy", photos)
    similarity = np.random.default_rng(0).normal(size=(5, 4))
    names = {"image_ids": gallery.ids, "text_ids": queries.ids}
    candidates = cr.Candidates.from_similarity(similarity, "t2i", 3, **names)
    pipeline = cr.Pipeline("dot")
    rankings = pipeline.rerank(candidates, queries, gallery)
    sides = {"queries": queries, "gallery": gallery}
    gallery.save(folder / "gallery")
    rankings.save(folder / "rankings")
    run_options = {"device": "cpu", "dtype": "float32", "threads": None, "on_error": "raise"}
    cuts = {"top_k": None, "score_threshold": None, "min_probability": None, "deadline": None}
    rerank = partial(cr.rerank, cache=False)
    return {
        "rerank": (
            rerank,
            {
                **{"query": "a dog", "candidates": TEXTS, "reranker": "dot", "encoder": "toy"},
                **{"ids": None, "base_scores": None, "fusion": None, "weight": None},
                **{"on_item": "raise", "modality": None, "progress": None},
                **cuts,
                **run_options,
            },
        ),
        "rerank, stored": (
            rerank,
            {
                **{"query": "a dog", "candidates": gallery, "reranker": "dot", "encoder": "toy"},
                **{"ids": [0, 1], "base_scores": [1.0, 2.0]},
            },
        ),
        "rerank_many": (
            partial(cr.rerank_many, cache=False),
            {
                **{"queries": ["a dog", "a cat"], "candidate_lists": [TEXTS, TEXTS]},
                **{"reranker": "dot", "encoder": "toy", "base_scores": None, "ids": None},
            },
        ),
        "encode": (
            cr.encode,
            {
                **{"encoder": "toy", "items": TEXTS, "modality": None, "features": None},
                **{"out": None, "append": False, "reuse": False, "store_dtype": None},
                **{"batch_size": None, "threads": None, "device": None, "on_item": "raise"},
            },
        ),
        "encode, add_to": (
            cr.encode,
            {"encoder": "toy", "add_to": folder / "gallery", "features": ("embedding",)},
        ),
        "search": (cr.search, {**sides, "depth": 2, "engine": "numpy", "feature": "embedding"}),
        "Pipeline": (cr.Pipeline, {"stages": "dot", "calibration": None}),
        "Stage": (cr.Stage, {"reranker": "dot", "depth": None, "fusion": cr.RRF(), "params": {}}),
        "Pipeline.rerank": (
            pipeline.rerank,
            {"candidates": candidates, **sides, **cuts, "deadline_per": "run", "options": None},
        ),
        "explain": (
            pipeline.explain,
            {**sides, "query_id": queries.ids[0], "candidate_ids": list(gallery.ids[:2])},
        ),
        "from_similarity": (
            cr.Candidates.from_similarity,
            {"similarity": similarity, "direction": "t2i", "depth": 3, **names},
        ),
        "from_lists": (
            cr.Candidates.from_lists,
            {
                **{"lists": [["a"], ["b", "c"]], "scores": None},
                **{"query_ids": ["0", "1"], "candidate_ids": ["a", "b", "c"]},
            },
        ),
        "from_run": (cr.Candidates.from_run, {"run": {"q": {"d": 1.0}}}),
        "Collection": (
            cr.Collection,
            {
                **{"ids": ["a", "b"], "modality": "text", "normalise": False},
                **{"embedding": np.eye(2), "text": ["x", "y"], "tokens": [np.eye(2), np.eye(2)]},
            },
        ),
        "take": (gallery.take, {"rows": [0, 1], "features": None, "ids": None}),
        "row": (gallery.row, {"id": gallery.ids[0]}),
        "feature": (gallery.__getitem__, {"feature": "embedding"}),
        "with_features": (gallery.with_features, {"normalise": False, "more": np.zeros((5, 2))}),
        "concat": (cr.Collection.concat, {"parts": [gallery]}),
        "save, dtype": (gallery.save, {"folder": folder / "stored", "dtype": None}),
        "open": (cr.Collection.open, {"folder": folder / "gallery"}),
        "query": (rankings.__getitem__, {"query_id": queries.ids[0]}),
        "Rankings.take": (rankings.take, {"rows": [0]}),
        "scores": (rankings.scores, {"stage": "dot"}),
        "to_trec": (rankings.to_trec, {"path": folder / "trec", "tag": "x"}),
        "Rankings.open": (cr.Rankings.open, {"path": folder / "rankings"}),
        "show": (rankings.show, {"count": 2, "lists": 2}),
        "Item": (cr.Item, {"id": "a", "text": "b", "image": None}),
        "Ragged": (cr.Ragged, {"flat": np.zeros((3, 2)), "lengths": [1, 2]}),
        "Ragged.from_list": (cr.Ragged.from_list, {"parts": [np.eye(2)]}),
        "WeightedSum": (cr.WeightedSum, {"weight": 1.0, "normalise": "none", "statistics": "row"}),
        "RRF": (cr.RRF, {"k": 60}),
        "from_file": (cr.Stage.from_file, {"path": folder / "none.toml"}),
        **evaluations(),
        "AutoDepth": (cr.AutoDepth, {"choices": (10, 32), "threshold": 2.5, "by": "margin"}),
        "open_image": (cr.open_image, {"source": photos[0]}),
        "Client": (cr.Client, {"url": "http://localhost:1", "token": None, "timeout": 1.0}),
        "bench": (cr.bench, {"name": "winoground", "data": folder}),
        "RunOptions": (cr.RunOptions, {"workers": 1, "memory_budget": None, "engine": "local"}),
    }


def evaluations() -> dict[str, Call]:
    run = {"q1": {"a": 2.0, "b": 1.0}, "q2": {"b": 2.0, "a": 1.0}, "q3": {"a": 1.0}}
    qrels = {"q1": {"a": 1}, "q2": {"a": 1}, "q3": {"a": 1}}
    matrix = np.random.default_rng(1).normal(size=(4, 8))
    drawn = {"resamples": 20, "confidence": 0.95, "method": "percentile", "seed": 0}
    known = {"captions_per_image": 2, "text_to_image": None, "image_to_texts": None}
    return {
        "evaluate": (
            cr.evaluate,
            {
                **{"rankings": {"base": run, "new": run}, "qrels": qrels, "metrics": ("R@1",)},
                **{"direction": None, "baseline": "base", "clusters": None},
                **drawn,
            },
        ),
        "evaluate_matrix": (
            cr.evaluate_matrix,
            {
                **{"similarity": matrix, "direction": "t2i", "rows": "images", "baseline": None},
                **{"metrics": ("R@1",), "resamples": 20},
                **known,
            },
        ),
        "winoground": (winoground, {"scores": np.zeros((3, 2, 2))}),
        "as_qrels": (as_qrels, {"qrels": qrels}),
    }


NAMES = (
    *(
        "rerank",
        "rerank, stored",
        "rerank_many",
        "encode",
        "encode, add_to",
        "search",
        "Pipeline",
        "Stage",
    ),
    *("Pipeline.rerank", "explain", "from_similarity", "from_lists", "from_run", "Collection"),
    *("take", "row", "feature", "with_features", "concat", "save, dtype", "open", "query"),
    *("Rankings.take", "scores", "to_trec", "Rankings.open", "show", "Item", "Ragged"),
    *("Ragged.from_list", "WeightedSum", "RRF", "from_file", "RunOptions"),
    *("evaluate", "evaluate_matrix", "winoground", "as_qrels", "AutoDepth", "open_image"),
    *("Client", "bench"),
)


FILES = ("folder", "out", "add_to", "path", "calibration", "source", "data", "rankings", "qrels")
"""Arguments that may name a file: messages hold its name as a whole."""


def test_every_call_is_tried(tmp_path: Path) -> None:
    assert set(calls(tmp_path)) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_works_or_is_one_short_error(name: str, tmp_path: Path) -> None:
    call, arguments = calls(tmp_path)[name]
    for argument in arguments:
        for value in odd():
            if argument == "progress" and callable(value):
                continue  # it is the caller's, and raises what it likes
            try:
                call(**{**arguments, argument: value})
            except CrossrankError as error:
                assert argument in FILES or len(str(error)) < LONGEST_MESSAGE, (
                    argument,
                    str(error),
                )
            except TypeError as error:  # pathlib's, of what is no path
                assert "os.PathLike" in str(error), (argument, value)
            except IndexError:  # of a place that there is not
                assert name == "query", (argument, value)
