"""Damage that leaves a file as long as it was: seen when one asks to look, never a wrong result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

import crossrank as cr
from crossrank._features.entry import Entry
from crossrank.cli import main
from crossrank.errors import CrossrankError, StoreError
from crossrank_knowledge import KnowledgeBank
from toys.ablation import DATA, Noisy, saved
from toys.basic import ToyEncoder, collection
from toys.shortened import save_sides

FILES = ["ids.jsonl", "text.jsonl", "embedding.npy", "tokens.npy", "tokens.lengths.npy"]


def one_bit(path: Path) -> None:
    """Change a file and leave it as long as it was."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    cr.encode(ToyEncoder(), ["a dog", "a cat"], out=tmp_path / "made")
    return tmp_path / "made"


@pytest.mark.parametrize("name", FILES)
def test_a_collection_is_held_against_its_digests(made: Path, name: str) -> None:
    whole = cr.Collection.open(made, verify=True)
    assert whole == cr.Collection.open(made)
    one_bit(made / name)
    with pytest.raises(StoreError, match=rf"{name} is not what was written, though as long"):
        cr.Collection.open(made, verify=True)


def test_of_a_collection_that_grew_what_counts_is_verified(made: Path) -> None:
    cr.encode(ToyEncoder(), ["a dog", "a cat", "new"], out=made, append=True, reuse=True)
    assert len(cr.Collection.open(made, verify=True)) == 3
    for path in made.glob("tokens.[0-9]*.npy"):
        one_bit(path)
    with pytest.raises(StoreError, match="not what was written"):
        cr.Collection.open(made, verify=True)


def test_a_bank_is_held_against_its_digest(tmp_path: Path) -> None:
    vectors = np.eye(3, 4, dtype=np.float32)
    KnowledgeBank(["a", "b", "c"], vectors, counts=[1, 2, 3]).save(tmp_path / "bank")
    whole = KnowledgeBank.open(tmp_path / "bank", verify=True)
    assert whole.fingerprint() == KnowledgeBank.open(tmp_path / "bank").fingerprint()
    one_bit(tmp_path / "bank" / "bank.safetensors")
    with pytest.raises(StoreError, match="bank is not what was written, though as long"):
        KnowledgeBank.open(tmp_path / "bank", verify=True)


@pytest.mark.parametrize("command", ["search", "rerank", "explain"])
@pytest.mark.parametrize("side", ["queries", "gallery"])
def test_commands_verify_both_sides_before_the_work(
    tmp_path: Path, command: str, side: str
) -> None:
    cr.register(Noisy)
    collection(3, "text").save(tmp_path / "queries")
    collection(4, "image").save(tmp_path / "gallery")
    sides = ["--queries", str(tmp_path / "queries"), "--gallery", str(tmp_path / "gallery")]
    run, out = tmp_path / "base.trec", tmp_path / "out.trec"
    searched = CliRunner().invoke(main, ["search", *sides, "--verify", "-o", str(run)])
    assert searched.exit_code == 0, searched.output
    words = {
        "search": ["-o", str(out)],
        "rerank": ["--run", str(run), "--stage", "noisy", "-o", str(out)],
        "explain": ["--run", str(run), "--stage", "noisy", "--query", "t0"],
    }[command]
    one_bit(tmp_path / side / "embedding.npy")
    unseen = CliRunner().invoke(main, [command, *sides, *words])
    assert unseen.exit_code == 0, unseen.output
    out.unlink(missing_ok=True)
    found = CliRunner().invoke(main, [command, *sides, *words, "--verify"])
    assert found.exit_code == 2 and "not what was written" in found.output
    assert not out.exists()


def test_an_ablation_verifies_its_data(tmp_path: Path) -> None:
    folder = saved(tmp_path / "data", 4)
    cr.register(Noisy)
    stages = '[stages.one]\nreranker = "noisy"\n[grid]\nstages = ["one"]\n'
    study = folder / "study.toml"
    study.write_text("[data]\nverify = true\n" + DATA + stages)
    assert cr.ablate(study, cache=False).cells
    one_bit(folder / "test" / "images" / "embedding.npy")
    with pytest.raises(StoreError, match="not what was written"):
        cr.ablate(study, cache=False)


@pytest.mark.parametrize("name", ["filip", "lite_itm", "cprd", "mack"])
def test_numbers_that_are_none_never_become_a_result(tmp_path: Path, name: str) -> None:
    """Forged into any array: an error that names somebody, or a result without them."""
    pytest.importorskip("torch")
    sides = tmp_path / "sides"
    save_sides(sides)
    pipeline, lists = cr.Pipeline(cr.Stage(name)), lists_of(sides)

    def rerank() -> cr.Rankings:
        texts, images = (cr.Collection.open(sides / each) for each in ("texts", "images"))
        return pipeline.rerank(lists, texts, images)

    expected, refused = rerank(), 0
    for number, path in enumerate(sorted(sides.glob("[it]*s/*.npy"))):
        array, content = np.load(path), path.read_bytes()
        if array.dtype.kind == "f":
            array.reshape(len(array), -1)[3, 1] = (np.inf, np.nan)[number % 2]
            np.save(path, array)
            try:
                assert rerank() == expected, path.name
            except CrossrankError:
                refused += 1
            path.write_bytes(content)
    assert refused


def lists_of(sides: Path) -> cr.Candidates:
    """Return lists of a few texts, with every picture."""
    texts, images = (cr.Collection.open(sides / each) for each in ("texts", "images"))
    return cr.search(texts.take([0, 3]), images, depth=60, engine="numpy")


@pytest.mark.parametrize(("name", "value"), [("mack", np.inf), ("hosa", np.nan)])
def test_a_forged_table_of_a_plugin_never_becomes_a_result(
    tmp_path: Path, name: str, value: float
) -> None:
    pytest.importorskip("torch")
    save_sides(tmp_path)
    texts, images = (cr.Collection.open(tmp_path / each) for each in ("texts", "images"))
    pipeline, cache = cr.Pipeline(cr.Stage(name)), tmp_path / "cache"
    pipeline.rerank(lists_of(tmp_path), texts, images, cache_folder=cache)
    tables = list(cache.rglob("*.npy"))
    assert tables
    for path in tables:
        array = np.load(path)
        array.reshape(-1)[::7] = value
        np.save(path, array)
    with pytest.raises(CrossrankError, match=name):
        pipeline.rerank(lists_of(tmp_path), texts, images, cache_folder=cache)


def test_a_forged_entry_of_the_feature_cache_is_encoded_again() -> None:
    def entry(number: float) -> Entry:
        rows = np.array([1.0, number], np.float32)
        kinds: dict[str, Any] = {"embedding": "array", "size": "array"}
        return Entry(kinds, {"embedding": rows, "size": np.array([3, 4])})

    sound, key = entry(2.0), "key"
    assert Entry.from_bytes(sound.to_bytes(key, {}), key) is not None
    for number in (np.inf, np.nan):
        assert Entry.from_bytes(entry(number).to_bytes(key, {}), key) is None


def test_a_bank_with_forged_numbers_never_becomes_a_result(tmp_path: Path) -> None:
    """Digests are looked at when one asks; the scores are always."""
    save_sides(tmp_path)
    texts, images = (cr.Collection.open(tmp_path / each) for each in ("texts", "images"))
    lists = cr.search(texts, images, depth=5, engine="numpy")
    words = ["dog", "grass"]
    vectors = np.random.default_rng(0).normal(size=(2, 1280)).astype(np.float32)
    bank = KnowledgeBank(words, vectors, counts=[1, 1], encoder=images.encoder)
    bank.save(tmp_path / "bank")
    path = tmp_path / "bank" / "bank.safetensors"
    tensors = load_file(path)
    tensors["prototypes"][0, 0] = np.inf
    save_file(tensors, path)
    with pytest.raises(CrossrankError):
        stage = cr.Stage("mack", params={"bank": tmp_path / "bank"})
        cr.Pipeline(stage).rerank(lists, texts, images)
