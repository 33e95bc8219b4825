"""The bank itself: order, look-up, disk, merging, graph."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, StoreError, UnknownIdError
from crossrank_knowledge import KnowledgeBank, merge, with_clusters
from crossrank_knowledge.drawing import draw_graph


def stream(rng: np.random.Generator, count: int = 60, size: int = 4) -> list[tuple[str, object]]:
    labels = ["dog", "red ball", "man's dog", "dog dog", "tree", "..."]
    return [
        (str(rng.choice(labels)), rng.normal(size=size).astype(np.float32)) for _ in range(count)
    ]


def full_bank() -> KnowledgeBank:
    rng = np.random.default_rng(0)
    return KnowledgeBank(
        ["a", "b", "c"],
        rng.normal(size=(3, 4)),
        [2, 5, 3],
        [0.1, 0.2, 0.3],
        clusters=cr.Ragged(rng.normal(size=(5, 4)).astype(np.float32), [1, 3, 1]),
        weight=rng.normal(size=(4, 4)),
        encoder="toy:1",
        data={"name": "toy", "seed": 3},
        parent="abc",
    )


def test_words_are_sorted_by_falling_count() -> None:
    bank = KnowledgeBank(["x", "y", "z"], [[1.0], [2.0], [3.0]], [1, 4, 4])
    assert bank.words == ("y", "z", "x")
    assert bank.counts.tolist() == [4, 4, 1]
    assert bank.lookup("x").tolist() == [1.0]
    assert bank.mean.tolist() == pytest.approx([21 / 9])


def test_clusters_and_spread_move_with_their_words() -> None:
    bank = full_bank()
    assert bank.words == ("b", "c", "a")
    assert bank.prototypes_of(bank.row("b")).shape == (3, 4)
    assert bank.spread is not None
    assert bank.spread.tolist() == pytest.approx([0.2, 0.3, 0.1])


def test_lookup_names_the_nearest_words() -> None:
    with pytest.raises(UnknownIdError, match="did you mean 'ball'"):
        KnowledgeBank(["ball", "dog"], np.eye(2)).lookup("bal")


def test_nearest_by_cosine() -> None:
    bank = KnowledgeBank(["x", "y", "z"], [[1.0, 0.0], [9.0, 9.0], [0.0, 1.0]])
    names = [word for word, _ in bank.nearest("x", 5)]
    assert names == ["y", "z"]
    assert bank.nearest("x", 1)[0][1] == pytest.approx(0.5**0.5)


@pytest.mark.parametrize(
    ("words", "prototypes", "counts", "message"),
    [
        ([], np.zeros((0, 3)), None, "no words"),
        (["a"], [[1.0, np.nan]], None, "not finite"),
        (["a", "a"], np.eye(2), None, "'a' stands twice"),
        (["a", "b"], np.eye(2), [1, 0], "'b' has the count 0"),
        (["a", "b"], np.eye(3), None, "for 2 words"),
        (["a"], [[1.0]], [1.5], "integers"),
    ],
)
def test_bad_banks(words: list[str], prototypes: object, counts: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        KnowledgeBank(words, prototypes, counts)  # type: ignore[arg-type]  # bad on purpose


def test_disk_round_trip_is_memory_mapped(tmp_path: Path) -> None:
    bank = full_bank()
    bank.save(tmp_path / "bank")
    found = KnowledgeBank.open(tmp_path / "bank")
    assert isinstance(found.prototypes, np.memmap)
    assert found == bank and found.words == bank.words and found.data == bank.data
    assert found.fingerprint() == bank.fingerprint()
    for name, array in bank.arrays().items():
        np.testing.assert_array_equal(found.arrays()[name], array)
    assert found.nearest("a", 2) == bank.nearest("a", 2)
    with pytest.raises(StoreError, match="exists already"):
        bank.save(tmp_path / "bank")


def test_a_damaged_folder_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a knowledge bank"):
        KnowledgeBank.open(tmp_path)
    full_bank().save(tmp_path / "bank")
    tensors = tmp_path / "bank" / "bank.safetensors"
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[:-4])
    with pytest.raises(StoreError, match="truncated"):
        KnowledgeBank.open(tmp_path / "bank")
    tensors.write_bytes(b"\xff" * len(whole))
    with pytest.raises(StoreError, match="not a safetensors file"):
        KnowledgeBank.open(tmp_path / "bank")
    tensors.unlink()
    with pytest.raises(StoreError, match="lacks its file"):
        KnowledgeBank.open(tmp_path / "bank")
    manifest = tmp_path / "bank" / "bank.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 99}))
    with pytest.raises(StoreError, match="version 99"):
        KnowledgeBank.open(tmp_path / "bank")
    manifest.write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        KnowledgeBank.open(tmp_path / "bank")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), cut=st.integers(1, 59))
def test_merging_parts_equals_building_the_whole(seed: int, cut: int) -> None:
    items = stream(np.random.default_rng(seed))
    whole = KnowledgeBank.build(items, encoder="toy")  # type: ignore[arg-type]  # arrays
    parts = [items[:cut], items[cut:]]
    banks = []
    for part in parts:
        if all(label == "..." for label, _ in part):
            return
        banks.append(KnowledgeBank.build(part, encoder="toy"))  # type: ignore[arg-type]
    merged = banks[0].merge(banks[1])
    assert set(merged.words) == set(whole.words)
    assert merged.regions == whole.regions
    assert merged.spread is not None and whole.spread is not None
    np.testing.assert_allclose(merged.mean, whole.mean, atol=1e-6)
    for word in whole.words:
        mine, theirs = merged.row(word), whole.row(word)
        assert merged.counts[mine] == whole.counts[theirs]
        np.testing.assert_allclose(merged.prototypes[mine], whole.prototypes[theirs], atol=1e-6)
        assert merged.spread[mine] == pytest.approx(whole.spread[theirs], abs=1e-3)


def test_banks_of_different_spaces_do_not_merge() -> None:
    left = KnowledgeBank(["a"], [[1.0]], encoder="x:1")
    with pytest.raises(FeatureMismatchError, match="same encoder"):
        left.merge(KnowledgeBank(["a"], [[1.0]], encoder="y:1"))
    with pytest.raises(FeatureMismatchError, match="same space"):
        left.merge(KnowledgeBank(["a"], [[1.0, 2.0]], encoder="x:1"))
    with pytest.raises(InputError, match="merge its parent"):
        left.merge(KnowledgeBank(["a"], [[1.0]], weight=[[2.0]], encoder="x:1"))
    with pytest.raises(InputError, match="at least one bank"):
        merge([])


def test_clusters_find_two_looks_of_one_word() -> None:
    rng = np.random.default_rng(0)
    looks = [np.array([10.0, 0.0]), np.array([0.0, 10.0])]
    items = [("bank", looks[n % 2] + 0.1 * rng.normal(size=2)) for n in range(40)]
    items.append(("rare", np.array([1.0, 1.0])))
    bank = with_clusters(KnowledgeBank.build(items), items, 2)
    centres = bank.prototypes_of(bank.row("bank"))
    assert len(centres) == 2
    np.testing.assert_allclose(sorted(centres.tolist()), [[0, 10], [10, 0]], atol=0.2)
    np.testing.assert_allclose(bank.prototypes_of(bank.row("rare")), [[1.0, 1.0]])
    again = with_clusters(KnowledgeBank.build(items), items, 2)
    assert again == bank


def test_clusters_of_a_sample_stay_within_it() -> None:
    items = [("a", np.array([float(n), 0.0])) for n in range(50)]
    bank = with_clusters(KnowledgeBank.build(items), items, 3, most=5)
    centres = bank.prototypes_of(0)
    assert 1 <= len(centres) <= 3 and (centres[:, 0] >= 0).all() and (centres[:, 0] < 50).all()
    with pytest.raises(InputError, match="at least 1"):
        with_clusters(bank, items, 0)
    with pytest.raises(InputError, match="carries 'a'"):
        with_clusters(bank, [("b", np.ones(2))], 1)


def test_graph_of_nearest_words() -> None:
    bank = KnowledgeBank(["x", "y", "z"], [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]], [3, 2, 1])
    graph = bank.to_networkx(1)
    assert set(graph.nodes) == {"x", "y", "z"} and graph.nodes["x"]["count"] == 3
    assert graph.has_edge("x", "y") and not graph.has_edge("x", "z")
    assert graph.edges["x", "y"]["weight"] == pytest.approx(1 / 1.01**0.5)
    assert set(bank.to_networkx(2, ["x", "z"]).nodes) == {"x", "z"}


@pytest.mark.parametrize("words", [2, 3, 40])
def test_the_drawing_keeps_every_word_on_the_sheet(words: int) -> None:
    pytest.importorskip("networkx")
    rng = np.random.default_rng(0)
    names = [f"w{n}" for n in range(words)]
    # pairs that have nothing in common with others stand side by side, and more rows begin
    looks = np.repeat(np.eye((words + 1) // 2), 2, axis=0)[:words] + 0.01 * rng.random((words, 1))
    bank = KnowledgeBank(names, looks)
    drawing = draw_graph(bank, names, ["w1"])
    assert sorted(node.word for node in drawing.nodes) == sorted(names)
    assert [node.word for node in drawing.nodes if node.asked] == ["w1"]
    assert all(0 < node.x < drawing.width and 0 < node.y < drawing.height for node in drawing.nodes)
    assert {(a.word, b.word) for a, b, _ in drawing.lines} == set(
        bank.to_networkx(3, names, center=True).edges
    )
    assert drawing == draw_graph(bank, names, ["w1"])


def test_centred_neighbours() -> None:
    bank = KnowledgeBank(["a", "b", "c"], [[11.0, 10.0], [10.0, 11.0], [12.0, 10.0]], mean=[10, 10])
    assert bank.nearest("a", 2)[1][1] == pytest.approx(0.995475, abs=1e-5)
    assert bank.nearest("a", 2, center=True) == [("c", 1.0), ("b", 0.0)]
    assert bank.unit_prototypes(center=True).tolist() == [[1, 0], [0, 1], [1, 0]]
