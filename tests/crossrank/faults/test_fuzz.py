"""Damaged files of every kind that is read: a result, or one error of ours, and no hang.

``research/fuzz.py`` runs as many cases as one likes; the first ones are held here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from crossrank.errors import CrossrankError, FormatError
from crossrank.evaluation import read_qrels
from crossrank.plugin.files import map_npy, parse_json, parse_toml

SCRIPT = Path(__file__).parents[3] / "research" / "fuzz.py"


@pytest.fixture(scope="module")
def fuzz() -> Any:
    for package in ("torch", "crossrank_dialogue", "jinja2"):
        pytest.importorskip(package)
    spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module
    spec.loader.exec_module(module)
    return module


def test_whatever_is_in_a_file_the_answer_is_one_of_ours(fuzz: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of damaged tags
        ran, faults = fuzz.fuzz(2000, 0)
    assert ran == 2000
    assert faults == []


@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        ("graphs.json", 335_549),  # a relation that ends at an object, for which there is no id
        ("bank", 618_133),  # a place in a file that is NaN
    ],
)
def test_what_long_runs_found_stays_mended(fuzz: Any, tmp_path: Path, kind: str, seed: int) -> None:
    valid, scratch = tmp_path / "valid" / kind, tmp_path / "scratch"
    for folder in (valid.parent, scratch):
        folder.mkdir()
    fuzz.READERS[kind].make(valid)
    assert fuzz.case(kind, seed, valid, scratch) is None


def test_the_fuzz_sees_faults_and_adds_up(
    fuzz: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(path: Path) -> None:
        json.loads(path.read_text(encoding="utf-8"))

    reader = fuzz.Reader(fuzz._json({"a": [1, 2]}), careless)
    monkeypatch.setattr(fuzz, "READERS", {"careless.json": reader})
    output = tmp_path / "fuzz.json"
    for total in (50, 100):
        monkeypatch.setattr(sys, "argv", ["fuzz.py", "--cases", "50", "-o", str(output)])
        fuzz.main()
        record = json.loads(output.read_text())
        assert record["cases"] == total
        assert record["faults"]
    seeds = [fault["seed"] for fault in record["faults"]]
    assert len(set(seeds)) == len(seeds) and max(seeds) > 50


@pytest.mark.parametrize(
    ("parse", "text"), [(parse_json, "[" * 100_000), (parse_toml, "a = " + "[" * 100_000)]
)
def test_brackets_in_brackets_are_a_value_error(parse: Any, text: str) -> None:
    with pytest.raises(ValueError, match="too deep"):
        parse(text)


@pytest.mark.parametrize(
    "content",
    [b"PK\x03\x04 a zip", b"", b"\x93NUMPY\x01\x00\x10\x00{'descr': (\n", b"\x93NUMPY\x09\x00"],
)
def test_an_array_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError):
        map_npy(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize(
    "read",
    [
        cr.Candidates.from_trec,
        read_qrels,
        cr.read_captions,
        lambda path: cr.encode("lite", path.with_suffix(".jsonl")),
        lambda path: cr.encode("lite", path.with_suffix(".txt")),
        cr.Collection.open,
        cr.Rankings.open,
    ],
)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_refused_and_not_waited_for(
    tmp_path: Path, read: Any, kind: str
) -> None:
    for suffix in ("", ".jsonl", ".txt"):
        path = tmp_path / f"given{suffix}"
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        else:
            path.mkdir()
    with pytest.raises(CrossrankError):
        read(tmp_path / "given")


def test_the_message_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "base.trec"
    path.symlink_to("/dev/zero")
    with pytest.raises(FormatError, match="a pipe or device, not a file"):
        cr.Candidates.from_trec(path)
