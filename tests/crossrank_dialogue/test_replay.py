from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import InputError, UnknownIdError
from crossrank_dialogue import (
    Dialogue,
    Fuse,
    PartRanker,
    Rules,
    ranks_by_round,
    replay,
    round_splits,
    write_report,
)
from crossrank_dialogue.queries import EncodedTexts
from crossrank_dialogue.report import charts
from toys.dialogue import ToyEncoder, embed, gallery


class ByEmbedding(cr.Reranker):
    """The inner product again."""

    info = cr.RerankerInfo(
        name="again",
        summary="inner product",
        query_features=("embedding",),
        candidate_features=("embedding",),
    )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        rows = block.candidates["embedding"][block.index]
        products = np.einsum("qd,qkd->qk", block.queries["embedding"], rows)
        return cr.Scores(products.astype(np.float32))


TALKS = [
    Dialogue("brown", id="brown-dog-snow").answered("what else?", "dog").answered("where?", "snow"),
    Dialogue("red cat", id="red-cat-street"),
]


def ranker(depth: int = 96) -> PartRanker:
    return PartRanker(None, gallery(), EncodedTexts(ToyEncoder()), depth)


def test_every_round_is_a_run() -> None:
    runs = replay(ranker(), TALKS, Fuse())
    assert len(runs) == 3 and runs[0].query_ids == ("brown-dog-snow", "red-cat-street")
    ranks = ranks_by_round(runs, [talk.id for talk in TALKS])
    assert ranks[0].tolist() == [1, 2, 1]
    assert (ranks[1] == ranks[1, 0]).all()  # it has ended, and keeps its query
    pictures = np.asarray(gallery()["embedding"], float)
    vector = embed(["brown"])[0] + 0.7 * embed(["dog, snow"])[0]
    best = int(np.argmax(pictures @ vector))
    assert runs[2]["brown-dog-snow"][0].index == best
    found = cr.evaluate(runs[2], {talk.id: talk.id for talk in TALKS}, ["R@1"])
    assert found["reranked"]["R@1"] == 100 * np.mean(ranks[:, 2] == 1)


def test_what_is_not_listed_stands_behind() -> None:
    ranks = ranks_by_round(replay(ranker(5), TALKS, Fuse(), 0), ["black-hat-grass"] * 2)
    assert (ranks > 5).all()


def test_every_round_can_be_ablated() -> None:
    targets = [talk.id for talk in TALKS]
    pipeline = cr.Pipeline(cr.Stage(ByEmbedding, name="again"))
    splits = round_splits(ranker(), TALKS, Rules(), targets)
    whole = PartRanker(pipeline, gallery(), EncodedTexts(ToyEncoder()), 96)
    runs = replay(whole, TALKS, Rules())
    for split, run in zip(splits, runs, strict=True):
        result = cr.ablate(pipeline, split, statistics={"resamples": 9}, cache=False)
        found = cr.evaluate(run, dict(zip(targets, targets, strict=True)), ["MRR"])
        assert result.cells[-1].metrics["MRR"] == pytest.approx(found["reranked"]["MRR"])
    with pytest.raises(InputError, match="one for each"):
        round_splits(ranker(), TALKS, Rules(), ["x"])


def test_bad_input() -> None:
    with pytest.raises(InputError, match="no dialogue"):
        replay(ranker(), [], Fuse())
    with pytest.raises(InputError, match="rounds is -1"):
        replay(ranker(), TALKS, Fuse(), -1)
    runs = replay(ranker(), TALKS, Fuse(), 0)
    with pytest.raises(UnknownIdError, match="'brown-dog' is not in the gallery; did you mean"):
        ranks_by_round(runs, ["brown-dog", "red-cat-street"])
    with pytest.raises(InputError, match="one for each query"):
        ranks_by_round(runs, ["brown-dog-snow"])


def test_a_page_of_curves(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    ranks = {"<rules>": [[20, 3, 1], [5, 5, 12]], "noise": [[20, 90, 2], [5, 40, 70]]}
    write_report(tmp_path / "page.html", ranks, "a & b")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "&lt;rules&gt;" in text and "<rules>" not in text and "a &amp; b" in text
    assert text.count("<polyline") == 6 and "<script" not in text
    first = charts({name: np.array(own) for name, own in ranks.items()})[0]
    assert first.curves[0].values == (0.0, 0.0, 50.0)
    assert first.curves[0].points == "0.0,180.0 160.0,180.0 320.0,0.0"
    with pytest.raises(InputError, match="as many rounds"):
        write_report(tmp_path / "page.html", {"a": [[1, 2]], "b": [[1]]}, "x")
