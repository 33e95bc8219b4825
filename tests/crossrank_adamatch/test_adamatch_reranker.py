"""The reranker over windows: scores, evidence, grids, the cache, refusals."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import (
    CrossrankError,
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    ParameterError,
)
from crossrank.testing import make_collection
from toys.adamatch import cell_boxes, naive_score, naive_windows, pictures, unit
from toys.rounding import assert_same_sums

TEXTS = make_collection("text", 5)
PICTURES = pictures(8)


def scores(
    queries: cr.Collection, gallery: cr.Collection, name: str = "adamatch", **params: Any
) -> Any:
    """Return ``[Q, N]`` raw scores, in the order of the gallery."""
    stage = cr.Stage(name, fusion=cr.Replace(), params=params)
    rankings = cr.Pipeline([stage]).rerank(lists(queries, gallery), queries, gallery)
    placed = np.empty((len(queries), len(gallery)))
    np.put_along_axis(placed, rankings.index, rankings.scores(name), axis=1)
    return placed


def lists(queries: cr.Collection, gallery: cr.Collection) -> cr.Candidates:
    shape = (len(gallery), len(queries))
    direction = f"{queries.modality[0]}2{gallery.modality[0]}"
    ids = {"image_ids": gallery.ids, "text_ids": queries.ids}
    if direction == "i2t":
        shape, ids = shape[::-1], {"image_ids": queries.ids, "text_ids": gallery.ids}
    table = np.random.default_rng(0).normal(size=shape)
    return cr.Candidates.from_similarity(table, direction=direction, depth=None, **ids)


def windows_of(collection: cr.Collection, sizes: tuple[int, ...]) -> list[Any]:
    found = []
    for tokens, boxes in zip(collection["tokens"], collection["token_boxes"], strict=True):
        width = int((boxes[:, 1] == boxes[0, 1]).sum())
        height = len(tokens) // width
        fit = [size for size in sizes if size <= min(height, width)]
        found.append(naive_windows(tokens, height, width, fit))
    return found


def close(found: Any, expected: Any) -> None:
    # 16 products per cosine, a mean of at most 30 cells, then of at most 30 patches
    assert_same_sums(found, expected, 100, 2.0)


@pytest.mark.parametrize("sizes", [(1, 2), (2, 1), (1, 2, 3), (1,)])
def test_text_queries_average_over_words_and_image_queries_over_patches(
    sizes: tuple[int, ...],
) -> None:
    patches = windows_of(PICTURES, sizes)
    expected = [[naive_score(words, seen) for seen in patches] for words in TEXTS["tokens"]]
    close(scores(TEXTS, PICTURES, sizes=list(sizes)), expected)
    turned = [[naive_score(seen, words) for words in TEXTS["tokens"]] for seen in patches]
    close(scores(PICTURES, TEXTS, sizes=sizes), turned)
    one, other = np.array(expected), np.array(turned).T
    close(scores(TEXTS, PICTURES, sizes=sizes, mode="i2t"), other)
    close(scores(PICTURES, TEXTS, sizes=sizes, mode="t2i"), one.T)
    close(scores(TEXTS, PICTURES, sizes=sizes, mode="both"), (one + other) / 2)


def test_the_default_is_cells_and_windows_of_two_without_weights() -> None:
    close(scores(TEXTS, PICTURES), scores(TEXTS, PICTURES, sizes=[1, 2]))


def test_cells_alone_are_filip() -> None:
    for sides in ((TEXTS, PICTURES), (PICTURES, TEXTS)):
        close(scores(*sides, sizes=[1]), scores(*sides, name="filip"))


def test_one_patch_and_one_word_give_their_cosine() -> None:
    one = np.array([[3.0, 4.0]], np.float32) / 5
    words = unit(np.array([[1.0, 0.0], [-1.0, 0.2]])).astype(np.float32)
    texts = cr.Collection(["a", "b"], "text", tokens=cr.Ragged(words, [1, 1]))
    images = cr.Collection(["x"], "image", tokens=cr.Ragged(one, [1]))
    close(scores(texts, images), words @ one.T)
    close(scores(images, texts), one @ words.T)
    assert scores(texts, images)[1, 0] < 0  # nothing is clamped at zero


def test_a_duplicate_patch_changes_nothing_for_text_queries() -> None:
    twice = PICTURES.with_features(
        tokens=cr.Ragged.from_list([np.concatenate([each, each]) for each in PICTURES["tokens"]]),
        token_boxes=cr.Ragged.from_list([np.tile(b, (2, 1)) for b in PICTURES["token_boxes"]]),
    )
    # doubled cells form no grid, so that only they are compared
    close(scores(TEXTS, twice), scores(TEXTS, PICTURES, sizes=[1]))
    close(scores(TEXTS, PICTURES, sizes=[1, 2, 1, 2]), scores(TEXTS, PICTURES, sizes=[1, 2]))


def test_pruning_leaves_out_what_is_near_and_never_an_only_patch() -> None:
    close(scores(TEXTS, PICTURES, prune=-1.0), [
        [naive_score(words, seen[:1]) for seen in windows_of(PICTURES, (1,))]
        for words in TEXTS["tokens"]
    ])  # fmt: skip
    flat = cr.Collection(
        ["x"], "image", tokens=cr.Ragged(np.tile(unit(np.ones((1, 16))), (9, 1)), [9])
    )
    texts = make_collection("text", 3)
    close(scores(texts, flat, prune=0.999), scores(texts, flat))


def test_the_grid_comes_from_boxes_or_the_square_or_the_caller() -> None:
    tall = pictures(3, [(4, 2)])
    bare = cr.Collection(tall.ids, "image", tokens=tall["tokens"])
    close(scores(TEXTS, bare, grid=[4, 2]), scores(TEXTS, tall))
    with pytest.raises(MissingFeatureError, match=r"8 tokens.*token_boxes.*grid"):
        scores(TEXTS, bare)
    with pytest.raises(InputError, match="no grid of 3×3"):
        scores(TEXTS, bare, grid=(3, 3))
    square = pictures(3, [(3, 3)])
    bare = cr.Collection(square.ids, "image", tokens=square["tokens"])
    close(scores(TEXTS, bare), scores(TEXTS, square))
    close(scores(bare, TEXTS), scores(square, TEXTS))


def test_a_grid_within_a_crop_of_the_picture_is_a_grid() -> None:
    square = pictures(3, [(2, 3)])
    cropped = square.with_features(
        token_boxes=cr.Ragged(square["token_boxes"].flat / 2 + 0.25, square["token_boxes"].lengths)
    )
    close(scores(TEXTS, cropped), scores(TEXTS, square))
    ((evidence,),) = explained(TEXTS, cropped, TEXTS.ids[0], cropped.ids[:1])
    boxes = np.array([link.candidate_box for link in evidence.links])
    assert boxes.min() >= 0.25 and boxes.max() <= 0.75


def test_tokens_that_form_no_grid_stay_alone_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    images = make_collection("image", 6, seed=1)
    with caplog.at_level(logging.WARNING):
        found = scores(TEXTS, images, sizes=[1, 2])
    close(found, scores(TEXTS, images, name="filip"))
    assert "form no grid" in caplog.text


def explained(
    queries: cr.Collection, gallery: cr.Collection, query: str, found: Any, **params: Any
) -> Any:
    pipeline = cr.Pipeline([cr.Stage("adamatch", fusion=cr.Replace(), params=params)])
    return pipeline.explain(queries, gallery, query, list(found)).values()


def test_evidence_is_each_words_best_window_by_its_box() -> None:
    boxes = cell_boxes(3, 3)
    tokens = np.zeros((9, 16), np.float32)
    tokens[np.arange(9), np.arange(9)] = 1
    images = cr.Collection(
        ["x"], "image", tokens=cr.Ragged(tokens, [9]), token_boxes=cr.Ragged(boxes, [9])
    )
    words = unit(np.stack([tokens[4], tokens[[0, 1, 3, 4]].sum(axis=0)])).astype(np.float32)
    texts = cr.Collection(
        ["t"], "text", tokens=cr.Ragged(words, [2]), token_text=[["centre", "corner"]]
    )
    ((evidence,),) = explained(texts, images, "t", ["x"])
    centre, corner = evidence.links
    assert (centre.query, corner.query) == ("centre", "corner")
    assert centre.candidate_box == pytest.approx((1 / 3, 1 / 3, 2 / 3, 2 / 3))
    assert corner.candidate_box == pytest.approx((0, 0, 2 / 3, 2 / 3))
    assert corner.weight == pytest.approx(1.0)
    ((turned,),) = explained(images, texts, "x", ["t"])
    assert turned.links[1].query_box == corner.candidate_box
    assert turned.links[1].candidate == "corner"


@pytest.mark.parametrize("prune", [None, 0.5])
def test_patches_are_kept_in_the_cache_folder_and_found_there(
    tmp_path: Path, prune: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crossrank_adamatch.patches import Windows

    pipeline = cr.Pipeline([cr.Stage("adamatch", params={"prune": prune})])
    asked = lists(TEXTS, PICTURES)
    first = pipeline.rerank(asked, TEXTS, PICTURES, cache_folder=tmp_path)
    plain = pipeline.rerank(asked, TEXTS, PICTURES)
    assert (first.final == plain.final).all()
    kept = {path.name.rpartition("-")[0] for path in tmp_path.glob("*.npy")}
    expected = {"adamatch", "adamatch-boxes"}
    assert kept == expected | ({"adamatch-kept"} if prune else set())
    for path in tmp_path.glob("adamatch-boxes-*"):
        path.unlink()  # boxes alone are made anew
    again = pipeline.explain(
        TEXTS, PICTURES, TEXTS.ids[0], list(PICTURES.ids), cache_folder=tmp_path
    )
    assert again == pipeline.explain(TEXTS, PICTURES, TEXTS.ids[0], list(PICTURES.ids))
    monkeypatch.setattr(Windows, "make", None)  # nothing is made any more
    second = pipeline.rerank(asked, TEXTS, PICTURES, cache_folder=tmp_path)
    assert (second.final == first.final).all()


def test_a_small_budget_gives_the_same() -> None:
    asked = lists(TEXTS, PICTURES)
    pipeline = cr.Pipeline([cr.Stage("adamatch")])
    small = pipeline.rerank(asked, TEXTS, PICTURES, memory_budget=40_000)
    close(small.scores("adamatch"), pipeline.rerank(asked, TEXTS, PICTURES).scores("adamatch"))


@pytest.mark.parametrize(
    ("params", "error", "said"),
    [
        ({"sizes": []}, ParameterError, "sizes"),
        ({"sizes": [0]}, ParameterError, "sizes"),
        ({"sizes": 2}, ParameterError, "sizes"),
        ({"sizes": [1.5]}, ParameterError, "sizes"),
        ({"sizes": "12"}, ParameterError, "sizes"),
        ({"prune": 2}, ParameterError, "prune"),
        ({"mode": "up"}, ParameterError, "mode"),
        ({"grid": [3]}, ParameterError, "grid"),
        ({"grid": [3, 0]}, ParameterError, "grid"),
        ({"scale": 1}, ParameterError, "scale"),
        ({"sizes": [9]}, InputError, "larger than the grid of the image 'image-1-0'"),
    ],
)
def test_bad_parameters_are_refused(
    params: dict[str, Any], error: type[CrossrankError], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        scores(TEXTS, PICTURES, **params)
    assert str(caught.value).startswith("adamatch")


def test_bad_features_are_refused() -> None:
    lengths = [0, *PICTURES["tokens"].lengths[1:]]
    first = int(PICTURES["tokens"].lengths[0])
    empty = PICTURES.with_features(
        tokens=cr.Ragged(PICTURES["tokens"].flat[first:], lengths),
        token_boxes=cr.Ragged(PICTURES["token_boxes"].flat[first:], lengths),
    )
    with pytest.raises(InputError, match="'image-1-0' has no token"):
        scores(TEXTS, empty)
    other = pictures(3, dim=8)
    with pytest.raises(FeatureMismatchError, match="same encoder"):
        scores(TEXTS, other)
    array = cr.Collection(["x"], "image", tokens=np.ones((1, 16), np.float32))
    with pytest.raises(CrossrankError, match="Ragged"):
        scores(TEXTS, array)
    short = PICTURES.with_features(token_boxes=cr.Ragged(PICTURES["token_boxes"].flat[1:], lengths))
    with pytest.raises(CrossrankError, match="token_boxes"):
        scores(TEXTS, short)
    with pytest.raises(CrossrankError):
        scores(TEXTS, TEXTS)


def test_lists_and_tuples_have_one_fingerprint() -> None:
    from crossrank_adamatch.reranker import AdaMatchReranker

    one, other = AdaMatchReranker(sizes=[1, 2]), AdaMatchReranker(sizes=(1, 2))
    assert one.fingerprint() == other.fingerprint() == AdaMatchReranker().fingerprint()
    assert one.fingerprint() != AdaMatchReranker(sizes=[2, 1]).fingerprint()


def test_the_command_lines_grammar_reads_sizes() -> None:
    from crossrank.cli.kit import read_stage

    stage = read_stage("adamatch:depth=9,sizes=[1, 3],weight=0.5")
    assert stage.params["sizes"] == [1, 3]


def test_on_a_device_of_torch_it_scores_the_same() -> None:
    asked = lists(TEXTS, PICTURES)
    pipeline = cr.Pipeline([cr.Stage("adamatch")])
    there = pipeline.rerank(asked, TEXTS, PICTURES, device="cpu:0").scores("adamatch")
    close(there, pipeline.rerank(asked, TEXTS, PICTURES).scores("adamatch"))


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, crossrank_adamatch as a; a.windows; a.AdaMatchReranker; print(*sys.modules)"
    found = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "crossrank_adamatch.reranker" in found.stdout
    assert "torch" not in found.stdout.split()
