"""Students: summaries, saving, and the reranker ``cprd``."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch

import crossrank as cr
from crossrank.errors import (
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    ParameterError,
    StoreError,
)
from crossrank.testing import check_reranker
from crossrank_cprd.embedding import as_base, embed
from crossrank_cprd.reranker import CprdReranker
from crossrank_cprd.saving import load_card, load_student, save_student
from crossrank_cprd.student import Student, StudentSizes
from crossrank_cprd.summary import find_anchors, summaries
from toys.cprd import ANCHORS, split, student
from toys.device import DEVICES
from toys.rounding import assert_same_formula, assert_same_sums


def taught(seed: int = 0) -> Student:
    """Return a student whose weights are no longer where they started."""
    pupil = student(seed)
    with torch.no_grad():
        for each in pupil.parameters():
            each.add_(0.1 * torch.randn(each.shape))
        for tower in (pupil.image, pupil.text):
            tower.mean.normal_()
            tower.spread.uniform_(0.5, 2)
    return pupil.eval()


def saved(folder: Path, encoder: str | None = None) -> Path:
    path = folder / "student.safetensors"
    save_student(taught(), path, encoder=encoder, about={"seed": 0})
    return path


@cache
def shared() -> Path:
    return saved(Path(mkdtemp()))


@pytest.mark.parametrize("check", check_reranker(CprdReranker, student=shared()))
def test_conformance(check: Callable[[], None]) -> None:
    check()


def test_a_summary_is_the_mean_and_the_best_match_of_every_anchor() -> None:
    images, _, _ = split()
    anchors = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    found = summaries(images, anchors)
    lengths = (np.linalg.norm(each, axis=1).max() for each in (images["tokens"].flat, anchors))
    size = math.prod(lengths)
    for row in range(len(images)):
        tokens = images["tokens"][row]
        exact = tokens.astype(np.float64)
        best = [max(float(token @ anchor) for token in exact) for anchor in anchors]
        expected = [*exact.mean(axis=0), *best]
        assert_same_sums(found[row], expected, max(16, len(tokens)), size)
    some = summaries(images, anchors, np.array([3, 1]))
    assert_same_sums(some, found[[3, 1]], 16, size, sides=2)


def test_an_item_without_tokens_is_summarised_by_zeros() -> None:
    tokens = cr.Ragged(np.ones((3, 2), np.float32), [1, 0, 2])
    items = cr.Collection(["a", "b", "c"], "image", tokens=tokens)
    anchors = np.array([[3.0, 4.0]], np.float32)
    np.testing.assert_array_equal(summaries(items, anchors), [[1, 1, 7], [0, 0, 0], [1, 1, 7]])


def test_anchors_are_what_words_lie_around() -> None:
    chance = np.random.default_rng(0)
    centres = np.eye(4, dtype=np.float32)
    words = centres[np.arange(200) % 4] + 0.05 * chance.normal(size=(200, 4))
    words = (words / np.linalg.norm(words, axis=1, keepdims=True)).astype(np.float32)
    texts = cr.Collection(range(100), "text", tokens=cr.Ragged(words, [2] * 100))
    anchors = find_anchors(texts, 40)
    np.testing.assert_allclose(np.linalg.norm(anchors, axis=1), 1, rtol=1e-5)
    assert (anchors.max(axis=1) > 0.95).all()
    assert np.array_equal(anchors, find_anchors(texts, 40))
    assert not np.array_equal(anchors, find_anchors(texts, 40, seed=1))
    with pytest.raises(InputError, match="300 anchors need as many tokens; the texts have 200"):
        find_anchors(texts, 300)


def test_anchors_of_another_size_are_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"anchors are \(3, 2\), the student's sizes say \(9, 4\)"
    ):
        Student(StudentSizes(4, 4, anchors=9), np.zeros((3, 2), np.float32))


def test_embedding_is_the_towers_own_formula() -> None:
    pupil = taught()
    images, _, _ = split()
    tower = pupil.image.double()
    weights = tower.state_dict()
    summary = torch.from_numpy(summaries(images, pupil.anchors.numpy())).double()
    p = (summary - weights["mean"]) / weights["spread"]
    e = torch.from_numpy(images["embedding"]).double()
    hidden = torch.cat([4 * e, p], dim=1) @ weights["hidden.weight"].T + weights["hidden.bias"]
    gelu = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    y = e + p @ weights["direct.weight"].T + gelu @ weights["out.weight"].T
    expected = y / y.norm(dim=1, keepdim=True)
    assert_same_formula(tower(e, tower.standardise(summary)), expected)


def test_it_reranks_by_the_inner_product_of_its_embeddings() -> None:
    images, texts, _ = split()
    lists = cr.search(texts, images, depth=7, engine="numpy")
    stage = cr.Stage("cprd", params={"student": str(shared())}, fusion=cr.Replace())
    found = cr.Pipeline(stage).rerank(lists, texts, images).to_similarity()
    pupil = load_student(shared())
    expected = embed(pupil, texts) @ embed(pupil, images).T
    listed = np.isfinite(found)
    assert listed.sum() == 7 * len(texts)
    np.testing.assert_allclose(found[listed], expected[listed], atol=1e-5)
    # as a base matcher it finds what reranking everything would put first
    best = cr.search(as_base(pupil, texts), as_base(pupil, images), 1, engine="numpy")
    assert best.index[:, 0].tolist() == expected.argmax(axis=1).tolist()


@pytest.mark.parametrize("budget", [1, 1 << 12, 1 << 16])
def test_what_is_embedded_at_a_time_follows_the_budget(
    monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    """It was 1,024 items and all embeddings, 26 MB and more of lite's, whatever the budget."""
    images, _, _ = split()
    pupil, share, largest = load_student(shared()), budget // 4, 0
    whole = embed(pupil, images)

    def recorded(items: cr.Collection, anchors: np.ndarray, rows: np.ndarray) -> np.ndarray:
        nonlocal largest
        numbers = items["tokens"].take(rows).lengths.sum() * (anchors.shape[1] + len(anchors))
        assert 4 * numbers <= share or len(rows) == 1
        largest = max(largest, len(rows))
        return summaries(items, anchors, rows)

    monkeypatch.setattr("crossrank_cprd.embedding.summaries", recorded)
    made = embed(pupil, images, None, budget)
    assert isinstance(made, np.memmap) == (made.nbytes > share)
    assert (largest > 1) == (budget > 1 << 12)
    np.testing.assert_allclose(made, whole, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_on_a_device_scores_as_one_without(device: str) -> None:
    pictures, texts, _ = split()
    lists = cr.search(texts, pictures, depth=4)
    pipeline = cr.Pipeline(cr.Stage("cprd", fusion=cr.Replace(), params={"student": shared()}))
    here, found = (
        pipeline.rerank(lists, texts, pictures, device=each).to_similarity()
        for each in ("cpu", device)
    )
    np.testing.assert_allclose(found, here, atol=1e-6)
    with pytest.raises(ParameterError, match="cprd: torch cannot use the device 'nonsense'"):
        pipeline.rerank(lists, texts, pictures, device="nonsense")


def test_saved_and_loaded_it_is_the_same_to_half_precision(tmp_path: Path) -> None:
    before, after = taught().state_dict(), load_student(saved(tmp_path)).state_dict()
    for name, each in before.items():
        assert torch.equal(after[name], each.half().float()), name
    card = load_card(tmp_path / "student.safetensors")
    assert card.about == {"seed": 0}
    assert card.sizes["anchors"] == ANCHORS
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "student.json",
        "student.safetensors",
    ]


def test_the_fingerprint_is_that_of_the_weights(tmp_path: Path) -> None:
    here, there = CprdReranker(student=shared()), CprdReranker(student=saved(tmp_path))
    assert here.fingerprint() == there.fingerprint()
    save_student(taught(1), tmp_path / "other.safetensors")
    other = CprdReranker(student=tmp_path / "other.safetensors")
    assert here.fingerprint() != other.fingerprint()


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-3])
    with pytest.raises(StoreError, match="damaged, or not the student"):
        load_student(path)
    path.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        load_student(path)
    for text in ("[]", "{", json.dumps({"format": "another"})):
        path.with_suffix(".json").write_text(text, encoding="utf-8")
        with pytest.raises(StoreError, match="describes no student"):
            load_card(path)
    with pytest.raises(StoreError, match=r"a student is a file \*\.safetensors"):
        load_card(tmp_path / "student.pt")


def test_without_its_student_it_says_where_one_comes_from(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"train_cprd\.py writes"):
        cr.Stage("cprd", params={"student": ""})
    images, texts, _ = split()
    lists = cr.search(texts, images, depth=2, engine="numpy")
    stage = cr.Stage("cprd", params={"student": tmp_path / "no.safetensors"})
    with pytest.raises(StoreError, match=r"no\.json describes no student"):
        cr.Pipeline(stage).rerank(lists, texts, images)


def rerank(path: Path, texts: cr.Collection, images: cr.Collection) -> cr.Rankings:
    lists = cr.Candidates.from_lists({texts.ids[0]: images.ids[:3]}, candidate_ids=images.ids)
    stage = cr.Stage("cprd", params={"student": path}, fusion=cr.Replace())
    return cr.Pipeline(stage).rerank(lists, texts, images)


def test_features_of_another_encoder_are_refused(tmp_path: Path) -> None:
    images, texts, _ = split()
    path = saved(tmp_path, encoder="toy:1")
    images.encoder, texts.encoder = "toy:1", "toy:2"
    with pytest.raises(FeatureMismatchError, match="trained on features of toy:1, the texts were"):
        rerank(path, texts, images)
    texts.encoder = None
    assert len(rerank(path, texts, images)) == 1


def test_features_that_are_missing_or_of_another_size_are_refused() -> None:
    images, texts, _ = split()
    short = cr.Collection(images.ids, "image", embedding=images["embedding"])
    with pytest.raises(MissingFeatureError, match="tokens"):
        rerank(shared(), texts, short)
    wide = [
        each.with_features(tokens=cr.Ragged(np.ones((len(each), 3), np.float32), [1] * len(each)))
        for each in (texts, images)
    ]
    with pytest.raises(FeatureMismatchError, match="embeddings of 16 and tokens of 3 numbers"):
        rerank(shared(), *wide)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"anchors": 0}, "must be at least 1"),
        ({"dropout": 0.5}, r"dropout is 0\.5"),
    ],
)
def test_sizes_are_checked(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        StudentSizes(**{"embedding": 4, "token": 4, **arguments})  # type: ignore[arg-type]


def test_importing_the_package_imports_no_torch() -> None:
    code = (
        "import sys, crossrank_cprd, crossrank_cprd.reranker; "
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
