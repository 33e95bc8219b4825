"""Any reranker or pipeline teaches; its scores are kept on disk under their own name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
import crossrank_cprd.teacher as module
from crossrank.errors import CrossrankError, StoreError
from crossrank_cprd.teacher import Teacher, teacher_fingerprint, teacher_scores
from toys.cprd import Broken, Hidden, split


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD", 5)


def lists(depth: int = 6) -> tuple[cr.Candidates, cr.Collection, cr.Collection]:
    images, texts, _ = split()
    return cr.search(texts, images, depth=depth, engine="numpy"), texts, images


def test_a_reranker_teaches_with_its_own_scores() -> None:
    candidates, texts, images = lists()
    truth = texts["truth"] @ images["truth"].T
    expected = np.take_along_axis(truth, candidates.index, axis=1)
    for teacher in (Hidden(), cr.Stage(Hidden, fusion=cr.Replace())):
        found = teacher_scores(teacher, candidates, texts, images)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert found.dtype == np.float32


def test_a_pipeline_teaches_with_what_it_makes_of_a_list() -> None:
    candidates, texts, images = lists()
    teacher = cr.Pipeline([cr.Stage(Hidden, fusion=cr.WeightedSum(2.0)), "filip"])
    rankings = teacher.rerank(candidates, texts, images)
    found = teacher_scores(teacher, candidates, texts, images)
    for row, ranking in enumerate(rankings.values()):
        by_id = {hit.id: hit.score for hit in ranking}
        expected = [by_id[images.ids[column]] for column in candidates.index[row]]
        np.testing.assert_allclose(found[row], expected, rtol=1e-5)


def test_ragged_lists_have_nan_where_there_is_no_candidate() -> None:
    candidates, texts, images = lists()
    mask = candidates.mask.copy()
    mask[0], mask[1, 3:] = False, False
    found = teacher_scores(Hidden(), replace(candidates, mask=mask), texts, images)
    assert np.array_equal(np.isnan(found), ~mask)


def test_a_second_call_scores_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, texts, images = lists()
    first = teacher_scores(Hidden(), candidates, texts, images, folder=tmp_path)
    monkeypatch.setattr(cr.Pipeline, "rerank", None)
    again = teacher_scores(Hidden(), candidates, texts, images, folder=tmp_path)
    assert np.array_equal(first, again)


@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_killed_run_goes_on(tmp_path: Path, after: int) -> None:
    candidates, texts, images = lists()
    whole = teacher_scores(Hidden(), candidates, texts, images)

    def kill(what: str, done: int, total: int) -> None:
        if done >= 5 * after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teacher_scores(Hidden(), candidates, texts, images, folder=tmp_path, progress=kill)
    assert len(list(tmp_path.glob("*.npy"))) == after
    steps: list[int] = []
    found = teacher_scores(
        Hidden(),
        candidates,
        texts,
        images,
        folder=tmp_path,
        progress=lambda what, done, total: steps.append(done),
    )
    assert np.array_equal(found, whole)
    assert steps == [5, 10, 15, 20, 24]


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    candidates, texts, images = lists()
    whole = teacher_scores(Hidden(), candidates, texts, images, folder=tmp_path)
    shard = tmp_path / "00000005.npy"
    shard.write_bytes(shard.read_bytes()[:-9])
    assert np.array_equal(
        whole, teacher_scores(Hidden(), candidates, texts, images, folder=tmp_path)
    )


def test_scores_are_not_written_through_a_link(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "00000000.partial").symlink_to(mine)
    candidates, texts, images = lists()
    teacher_scores(Hidden(), candidates, texts, images, folder=tmp_path / "scores")
    assert mine.read_bytes() == b"mine"


Asked = tuple[Teacher, cr.Candidates, cr.Collection, cr.Collection]
Change = Callable[[cr.Candidates, cr.Collection, cr.Collection], Asked]


def shifted(items: cr.Collection) -> cr.Collection:
    """The same ids with other features."""
    return items.with_features(truth=items["truth"] + 1)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("teacher", lambda c, q, g: ("filip", c, q, g)),
        ("teacher", lambda c, q, g: (cr.Stage(Hidden, depth=3, fusion=cr.Replace()), c, q, g)),
        ("teacher", lambda c, q, g: (cr.Stage(Hidden, fusion=cr.WeightedSum(0.5)), c, q, g)),
        ("queries", lambda c, q, g: (Hidden(), c, shifted(q), g)),
        ("gallery", lambda c, q, g: (Hidden(), c, q, shifted(g))),
        ("queries and gallery", lambda c, q, g: (Hidden(), c, shifted(q), shifted(g))),
        ("lists", lambda c, q, g: (Hidden(), lists(5)[0], q, g)),
    ],
)
def test_scores_of_another_teacher_or_split_are_refused(
    tmp_path: Path, name: str, change: Change
) -> None:
    candidates, texts, images = lists()
    teacher_scores(Hidden(), candidates, texts, images, folder=tmp_path)
    with pytest.raises(StoreError, match=f"with another {name}; choose another folder, or remove"):
        teacher_scores(*change(candidates, texts, images), folder=tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    candidates, texts, images = lists()
    np.save(tmp_path / "mine.npy", np.zeros(3))
    with pytest.raises(StoreError, match=r"holds files but no teacher\.json"):
        teacher_scores(Hidden(), candidates, texts, images, folder=tmp_path)
    (tmp_path / "teacher.json").write_text("[", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot be read"):
        teacher_scores(Hidden(), candidates, texts, images, folder=tmp_path)


def test_a_teacher_that_gives_nan_is_an_error_and_leaves_no_scores(tmp_path: Path) -> None:
    candidates, texts, images = lists()
    with pytest.raises(CrossrankError, match="scores must be finite"):
        teacher_scores(Broken(), candidates, texts, images, folder=tmp_path)
    assert not list(tmp_path.glob("*.npy"))


def test_a_teacher_without_an_opinion_leaves_the_bases_order() -> None:
    class Silent(Hidden):
        def score(self, block: cr.Block, state: object) -> cr.Scores:
            values = super().score(block, state).values
            return cr.Scores(values, np.ones(values.shape, np.bool_))

    candidates, texts, images = lists()
    found = teacher_scores(cr.Stage(Silent), candidates, texts, images)
    assert (np.diff(found, axis=1) <= 0).all()


def test_a_transductive_teacher_sees_all_queries_at_once() -> None:
    seen: list[int] = []

    class Looking(Hidden):
        info = replace(Hidden.info, name="looking", transductive=True)

        def prepare(self, context: cr.Context) -> None:
            seen.append(len(context.lists))

    candidates, texts, images = lists()
    teacher_scores(Looking(), candidates, texts, images)
    assert seen == [len(texts)]


def test_the_fingerprint_tells_teachers_apart() -> None:
    teachers: list[Teacher] = [
        "filip",
        cr.Stage("filip"),
        cr.Stage("filip", depth=3),
        cr.Stage("filip", params={"mode": "both"}),
        cr.Pipeline(["filip", "filip"]),
        Hidden(),
    ]
    assert len({teacher_fingerprint(each) for each in teachers}) == len(teachers)
    assert teacher_fingerprint("filip") == teacher_fingerprint(
        cr.Stage("filip", fusion=cr.Replace(), name="another name")
    )


def test_the_manifest_says_what_was_scored(tmp_path: Path) -> None:
    candidates, texts, images = lists()
    teacher_scores(Hidden(), candidates, texts, images, folder=tmp_path)
    said = json.loads((tmp_path / "teacher.json").read_text(encoding="utf-8"))
    assert said["teacher"] == teacher_fingerprint(Hidden())
    assert said["queries"] == texts.fingerprint()
