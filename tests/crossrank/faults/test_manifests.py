"""Manifests that lie: what they name lies in their folder, and what they count is bounded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import InputError, StoreError


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    tokens = cr.Ragged.from_list([np.eye(3, dtype=np.float32)[:n] for n in (1, 2)])
    embedding = np.eye(2, 3, dtype=np.float32)
    folder = tmp_path / "gallery"
    cr.Collection(["a", "b"], "image", embedding=embedding, tokens=tokens).save(folder)
    return folder


def changed(folder: Path, **values: Any) -> None:
    path = folder / "collection.json"
    if not path.exists():
        (path,) = (each for each in folder.glob("*.json"))
    manifest = json.loads(path.read_text())
    for key, value in values.items():
        if value is None:
            del manifest[key]
        else:
            manifest[key] = value
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["../secret/private", "/tmp/private", "nowhere"])
@pytest.mark.parametrize("kind", ["array", "json", "ragged"])
def test_a_feature_is_a_file_of_the_folder(gallery: Path, name: str, kind: str) -> None:
    secret = gallery.parent / "secret"
    secret.mkdir()
    np.save(secret / "private.npy", np.ones((2, 3), np.float32))
    (secret / "private.jsonl").write_text("1\n2\n")
    changed(gallery, features={name: kind})
    with pytest.raises(StoreError, match="has no file of the feature"):
        cr.Collection.open(gallery)


def test_the_ids_are_no_feature(gallery: Path) -> None:
    changed(gallery, features={"ids": "json"})
    with pytest.raises(StoreError, match="has no file of the feature 'ids'"):
        cr.Collection.open(gallery)


@pytest.mark.parametrize(
    "values",
    [
        {"features": {"embedding": 5}},
        {"count": -1},
        {"count": True},
        {"encoder": 7},
        {"features": []},
    ],
)
def test_a_manifest_of_other_kinds(gallery: Path, values: dict[str, Any]) -> None:
    changed(gallery, **values)
    with pytest.raises(StoreError):
        cr.Collection.open(gallery)


def test_a_manifest_without_an_encoder(gallery: Path) -> None:
    changed(gallery, encoder=None)
    assert cr.Collection.open(gallery).encoder is None


@pytest.mark.parametrize(
    "lengths",
    [
        np.array([2**64 - 1, 4], np.uint64),
        np.array([2**62, 2**62, 2**62, 2**62 + 3], np.int64),
        np.array([2**63 - 1, 2**63 - 1, 5], np.int64),
    ],
)
def test_lengths_that_wrap(lengths: np.ndarray[Any, Any]) -> None:
    with pytest.raises(InputError, match="a length is"):
        cr.Ragged(np.zeros((3, 2), np.float32), lengths)


def test_a_negative_seed_is_bad_input() -> None:
    with pytest.raises(InputError, match="seed is -1; give a whole number of at least 0"):
        cr.evaluate_matrix(np.eye(10, 50), captions_per_image=5, seed=-1)


def test_a_student_of_sizes_it_does_not_have_takes_no_memory(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from crossrank_cprd.saving import load_student, save_student
    from crossrank_cprd.student import Student, StudentSizes

    path = tmp_path / "student.safetensors"
    save_student(Student(StudentSizes(8, 6, 4, 5, 0.0)), path, encoder="toy")
    assert load_student(path) is not None
    card = path.with_suffix(".json")
    record = json.loads(card.read_text())
    record["sizes"]["hidden"] = 20_000_000_000
    card.write_text(json.dumps(record))
    with pytest.raises(StoreError, match="are not those of"):
        load_student(path)


def test_a_student_is_not_written_through_a_link(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from crossrank_cprd.saving import save_student
    from crossrank_cprd.student import Student, StudentSizes

    precious = tmp_path / "precious"
    precious.write_text("all of it")
    for name in ("student.partial", "student.safetensors", "student.json"):
        (tmp_path / name).symlink_to(precious)
    save_student(
        Student(StudentSizes(8, 6, 4, 5, 0.0)), tmp_path / "student.safetensors", encoder="toy"
    )
    assert precious.read_text() == "all of it"


@pytest.mark.parametrize(
    "values",
    [
        {"regions": "x"},
        {"words": -1},
        {"bytes": {"../secret": 3}},
        {"bytes": [1]},
        {"data": "x"},
        {"encoder": 3},
    ],
)
def test_a_bank_of_other_kinds(tmp_path: Path, values: dict[str, Any]) -> None:
    from crossrank_knowledge import KnowledgeBank

    KnowledgeBank(
        ["dog", "cat"], np.eye(2, 4, dtype=np.float32), counts=[3, 2], encoder="lite"
    ).save(tmp_path / "bank")
    changed(tmp_path / "bank", **values)
    with pytest.raises(StoreError):
        KnowledgeBank.open(tmp_path / "bank")
