"""The reranker ``filip`` in pipelines: directions, modes, evidence, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import CrossrankError, InputError, ParameterError

WORDS = cr.Collection(
    ["t0", "t1"],
    "text",
    tokens=cr.Ragged(np.eye(4, dtype=np.float32)[[0, 1, 2]], [2, 1]),
    token_text=[["red", "dog"], ["cat"]],
)
PATCHES = cr.Collection(
    ["i0", "i1"],
    "image",
    tokens=cr.Ragged(np.eye(4, dtype=np.float32)[[1, 3, 2, 0, 1]], [3, 2]),
    token_boxes=cr.Ragged(np.linspace(0, 1, 20).reshape(5, 4), [3, 2]),
)


def scores(mode: str, queries: cr.Collection, gallery: cr.Collection) -> list[list[float]]:
    stage = cr.Stage("filip", fusion=cr.Replace(), params={"mode": mode})
    candidates = cr.Candidates.from_lists(
        {query: list(gallery.ids) for query in queries.ids}, candidate_ids=gallery.ids
    )
    matrix = cr.Pipeline(stage).rerank(candidates, queries, gallery).to_similarity()
    return [[float(value) for value in row] for row in matrix]


FROM_TEXT = np.array([[0.5, 1.0], [1.0, 0.0]])  # [text, image]: mean over words of best patch
FROM_IMAGE = np.array([[1 / 3, 1.0], [1 / 3, 0.0]])  # mean over patches of best word


def test_the_mode_follows_the_query_or_is_fixed() -> None:
    t2i = {"auto": FROM_TEXT, "t2i": FROM_TEXT, "i2t": FROM_IMAGE}
    t2i["both"] = (FROM_TEXT + FROM_IMAGE) / 2
    for mode, expected in t2i.items():
        np.testing.assert_allclose(scores(mode, WORDS, PATCHES), expected, atol=1e-6)
        if mode == "auto":
            expected = FROM_IMAGE
        np.testing.assert_allclose(scores(mode, PATCHES, WORDS), expected.T, atol=1e-6)


def test_numpy_and_torch_rank_alike() -> None:
    for backend in ("numpy", "torch"):
        stage = cr.Stage("filip", fusion=cr.Replace(), params={"backend": backend})
        candidates = cr.Candidates.from_lists({"t0": ["i0", "i1"]})
        ranking = cr.Pipeline(stage).rerank(candidates, WORDS, PATCHES)["t0"]
        assert ranking.ids == ("i1", "i0")


def test_evidence_names_each_word_s_best_patch_with_box_and_similarity() -> None:
    pipeline = cr.Pipeline("filip")
    (evidence,) = pipeline.explain(WORDS, PATCHES, "t0", ["i0"])["filip"]
    assert [link.query for link in evidence.links] == ["red", "dog"]
    red, dog = evidence.links
    assert (red.weight, dog.weight) == pytest.approx((0.0, 1.0))
    assert dog.candidate_box == pytest.approx(tuple(np.linspace(0, 1, 20).reshape(5, 4)[0]))
    assert evidence.score == pytest.approx(0.5)
    json.dumps(evidence.to_dict(), allow_nan=False)


def test_evidence_in_the_other_direction_is_still_a_word_s_best_patch() -> None:
    (evidence,) = cr.Pipeline("filip").explain(PATCHES, WORDS, "i0", ["t0"])["filip"]
    assert [link.candidate for link in evidence.links] == ["red", "dog"]
    assert evidence.links[1].query_box is not None


def test_without_texts_and_boxes_parts_are_numbered() -> None:
    words, patches = (side.take([0, 1], ["tokens"]) for side in (WORDS, PATCHES))
    (evidence,) = cr.Pipeline("filip").explain(words, patches, "t0", ["i0"])["filip"]
    assert evidence.links[1].query == "1"
    assert evidence.links[1].candidate_box is None


def test_what_it_refuses() -> None:
    candidates = cr.Candidates.from_lists({"t0": ["i0"]})
    empty = PATCHES.with_features(tokens=cr.Ragged(np.eye(4)[[1, 3]], [0, 2]))
    narrow = PATCHES.with_features(tokens=cr.Ragged(np.ones((5, 3)), [3, 2]))
    boxed = PATCHES.with_features(tokens=np.ones((2, 4), np.float32))
    with pytest.raises(CrossrankError, match=r"candidate tokens are no crossrank.Ragged"):
        cr.Pipeline("filip").explain(WORDS, boxed, "t0", ["i0"])
    words = WORDS.with_features(tokens=np.ones((len(WORDS), 4), np.float32))
    with pytest.raises(InputError, match=r"query tokens are no crossrank.Ragged; give"):
        cr.Pipeline("filip").explain(words, boxed, "t0", ["i0"])
    with pytest.raises(InputError, match="'i0' has no token"):
        cr.Pipeline(cr.Stage("filip", fusion=cr.Replace())).rerank(candidates, WORDS, empty)
    with pytest.raises(CrossrankError, match="same encoder"):
        cr.Pipeline(cr.Stage("filip", fusion=cr.Replace())).rerank(candidates, WORDS, narrow)
    with pytest.raises(ParameterError, match="mode is 'i2i'"):
        cr.Stage("filip", params={"mode": "i2i"})


def test_the_scores_do_not_depend_on_how_many_portions_are_scored_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    words = cr.Ragged(rng.normal(size=(40 * 5, 16)).astype(np.float32), [5] * 40)
    queries = cr.Collection([f"t{n}" for n in range(40)], "text", tokens=words, normalise=True)
    lengths = rng.integers(1, 30, 300)
    rows = rng.normal(size=(int(lengths.sum()), 16))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    cr.Collection([f"i{n}" for n in range(300)], "image", tokens=cr.Ragged(rows, lengths)).save(
        tmp_path / "gallery"
    )
    gallery = cr.Collection.open(tmp_path / "gallery")
    candidates = cr.Candidates.from_similarity(
        rng.normal(size=(300, 40)), "t2i", 30, image_ids=gallery.ids, text_ids=queries.ids
    )
    monkeypatch.setattr("crossrank._engine.partition.PORTION_BYTES", 30_000)
    pipe = cr.Pipeline(cr.Stage("filip"))
    one = pipe.rerank(candidates, queries, gallery, threads=1)
    for threads, workers in ((2, 1), (4, 1), (1, 3), (2, 2)):
        found = pipe.rerank(candidates, queries, gallery, threads=threads, workers=workers)
        np.testing.assert_array_equal(found.scores("filip"), one.scores("filip"))
        assert found == one
