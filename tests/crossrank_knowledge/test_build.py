"""The streaming build: the one-shot mean, bad input, and the same bits after a kill."""

from __future__ import annotations

import logging
import os
import random
import signal
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrank.errors import InputError, StoreError
from crossrank_knowledge import KnowledgeBank, build, label_tokens

LABELS = st.text(st.sampled_from("abAB -'.,"), max_size=8)


def test_labels_are_split_as_the_paper_does() -> None:
    assert label_tokens("man's T-shirt (red)") == ["man", "s", "T", "shirt", "red"]
    assert label_tokens("dog dog") == ["dog", "dog"]
    assert label_tokens(string.punctuation) == [] and len(string.punctuation) == 32
    assert label_tokens(" caf\u00e9\u2019s ") == ["caf\u00e9\u2019s"]


@settings(max_examples=40, deadline=None)
@given(labels=st.lists(LABELS, min_size=1, max_size=30), seed=st.integers(0, 99))
def test_streaming_equals_the_one_shot_mean(labels: list[str], seed: int) -> None:
    features = np.random.default_rng(seed).normal(3, 2, (len(labels), 5)).astype(np.float32)
    by_word: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        for word in label_tokens(label):
            by_word.setdefault(word, []).append(row)
    if not by_word:
        with pytest.raises(InputError, match="would be empty"):
            build(zip(labels, features, strict=True))
        return
    bank = build(zip(labels, features, strict=True))
    first_seen = {word: n for n, word in enumerate(by_word)}
    expected = sorted(by_word, key=lambda word: (-len(by_word[word]), first_seen[word]))
    assert list(bank.words) == expected
    np.testing.assert_allclose(bank.mean, features.astype(np.float64).mean(0), atol=1e-6)
    assert bank.spread is not None and bank.regions == len(labels)
    for row, word in enumerate(bank.words):
        rows = features[by_word[word]].astype(np.float64)
        assert bank.counts[row] == len(rows)
        np.testing.assert_allclose(bank.prototypes[row], rows.mean(0), atol=1e-6)
        spread = np.sqrt(np.square(rows - rows.mean(0)).sum(1).mean())
        assert bank.spread[row] == pytest.approx(spread, abs=1e-5)


def test_more_words_than_one_block_of_sums(tmp_path: Path) -> None:
    items = [(f"w{n % 2500}", np.full(2, float(n), np.float32)) for n in range(4000)]
    bank = build(items, tmp_path / "bank", checkpoint_every=1700)
    assert len(bank) == 2500
    assert bank.lookup("w7").tolist() == [(7 + 2507) / 2] * 2
    assert bank.lookup("w2400").tolist() == [2400.0] * 2


def test_options_are_off_by_default() -> None:
    items = [("Dogs", [1.0]), ("dog", [3.0]), ("cat", [5.0])]
    assert set(build(items).words) == {"Dogs", "dog", "cat"}
    lemmas = {"Dogs": "dog"}
    bank = build(items, lemma=lambda word: lemmas.get(word, word), min_count=2)
    assert bank.words == ("dog",) and bank.lookup("dog").tolist() == [2.0]
    assert bank.regions == 3 and bank.mean.tolist() == [3.0]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (("dog", [1.0, np.nan]), r"item 1 \('dog'\) .* not finite"),
        (("dog", [1.0]), r"item 1 \('dog'\).*shape \(1,\)"),
        (("dog", [[1.0, 2.0]]), "item 1 .* give \\[D\\]"),
        ((7, [1.0, 2.0]), "item 1: a label is 7"),
        (("dog", ["x"]), "item 1"),
    ],
)
def test_bad_items_are_named(item: tuple[str, list[float]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build([("ok", [1.0, 2.0]), item])


def test_non_finite_features_may_be_skipped(caplog: pytest.LogCaptureFixture) -> None:
    items = [("dog", [1.0, 2.0]), ("dog", [np.inf, 0.0]), ("cat", [3.0, 4.0])]
    with caplog.at_level(logging.INFO, "crossrank_knowledge.building"):
        bank = build(items, not_finite="skip")
    assert bank.lookup("dog").tolist() == [1.0, 2.0] and bank.regions == 2
    assert "item 1 ('dog')" in caplog.text and "skipped 1" in caplog.text
    with pytest.raises(InputError, match="not_finite is 'ignore'"):
        build(items, not_finite="ignore")  # type: ignore[arg-type]  # bad on purpose


def test_an_empty_stream_is_an_error() -> None:
    with pytest.raises(InputError, match="would be empty"):
        build([])
    with pytest.raises(InputError, match="5 or more of 1 regions"):
        build([("dog", [1.0])], min_count=5)


class InterruptedBuildError(Exception):
    """Stands for a kill."""


def numbered(count: int, stop: int | None = None) -> Iterator[tuple[str, np.ndarray]]:
    for n in range(count):
        if n == stop:
            raise InterruptedBuildError
        rng = np.random.default_rng(n)
        yield f"word{rng.integers(9)} x", rng.normal(size=3).astype(np.float32)


def test_resuming_checks_the_stream_and_the_options(tmp_path: Path) -> None:
    out = tmp_path / "bank"
    with pytest.raises(InterruptedBuildError):
        build(numbered(90, stop=75), out, checkpoint_every=20)
    with pytest.raises(StoreError, match="other data or options"):
        build(numbered(90), out, min_count=2, checkpoint_every=20)
    with pytest.raises(StoreError, match="the stream differs"):
        build(((f"{label}!y", f) for label, f in numbered(90)), out, checkpoint_every=20)
    with pytest.raises(StoreError, match="the stream differs"):
        build(numbered(30), out, checkpoint_every=20)
    bank = build(numbered(90), out, checkpoint_every=20)
    whole = build(numbered(90))
    assert bank == whole and not (tmp_path / "bank.partial").exists()
    assert build(numbered(90), out) == whole
    for other in (numbered(89), numbered(91)):
        with pytest.raises(StoreError, match="exists already"):
            build(other, out)
    with pytest.raises(StoreError, match="exists already"):
        build(numbered(90), out, min_count=2)


def test_a_kill_after_the_bank_appeared_is_mended(tmp_path: Path) -> None:
    out = tmp_path / "bank"
    whole = build(numbered(50), out)
    written = (out / "bank.json").stat().st_mtime_ns
    for left in (True, False):
        if left:
            (tmp_path / "bank.partial").mkdir()
        assert build(numbered(50), out) == whole
        assert not (tmp_path / "bank.partial").exists()
    assert (out / "bank.json").stat().st_mtime_ns == written


SCRIPT = """
import sys, time
import numpy as np
from crossrank_knowledge import build

def items():
    for n in range(3000):
        rng = np.random.default_rng(n)
        if n % 10 == 0:
            time.sleep(0.0005)
        yield f"word{rng.integers(40)} x", rng.normal(size=16).astype(np.float32)

build(items(), sys.argv[1], checkpoint_every=100)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_build_killed_at_random_moments_gives_the_same_bank(tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([sys.executable, "-c", SCRIPT, str(whole)], check=True)
    moments = random.Random(5)
    kills = 0
    for _ in range(60):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(out)])
        while process.poll() is None and not (tmp_path / "killed.partial").is_dir():
            time.sleep(0.005)
        time.sleep(moments.uniform(0.0, 0.25))
        if process.poll() is None and kills < 6:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        if out.is_dir() and not (tmp_path / "killed.partial").is_dir():
            break
    assert kills > 0
    for name in ("bank.safetensors", "words.jsonl", "bank.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert KnowledgeBank.open(out) == KnowledgeBank.open(whole)
