"""``crossrank reinforce``, and the caption files it reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import crossrank as cr
from crossrank.cli import main
from crossrank.errors import (
    FormatError,
    InputError,
)
from crossrank_reinforce import Pairs, Store, read_pairs
from toys.reinforce import Means, Turned


def captions(folder: Path) -> Path:
    path = folder / "captions.jsonl"
    lines = [
        {
            "filename": f"{n}.png",
            "split": "train" if n else "val",
            "captions": [f"text {n}", "a b c"],
        }
        for n in range(4)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_caption_files_of_both_kinds(pairs: Pairs, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    found = read_pairs(captions(tmp_path), folder, "train")
    assert [item.id for item in found.images] == ["1.png", "2.png", "3.png"]
    assert found.text_to_image.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.texts[2].id == "2.png#0"
    images = [
        {"filename": f"{n}.png", "split": "train", "sentences": [{"raw": "a dog"}]} for n in (2, 0)
    ]
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"images": images}), encoding="utf-8")
    assert [item.id for item in read_pairs(path, folder).images] == ["2.png", "0.png"]
    with pytest.raises(InputError, match=r"the picture .* is not there; check --images"):
        read_pairs(path, tmp_path)
    with pytest.raises(InputError, match="no picture of the split 'tset'"):
        read_pairs(captions(tmp_path), folder, "tset")
    for line in ('"text"', '{"filename": "0.png"}', '{"filename": 1, "captions": ["a"]}', "{"):
        (tmp_path / "bad.jsonl").write_text(line + "\n", encoding="utf-8")
        with pytest.raises(FormatError, match=r"bad\.jsonl"):
            read_pairs(tmp_path / "bad.jsonl", folder)


def test_the_command(pairs: Pairs, tmp_path: Path) -> None:
    cr.register(Means)
    cr.register(Turned)
    given_path = tmp_path / "given.jsonl"
    given_path.write_text(
        "".join(
            json.dumps({"id": f"{n}.png#{k}", "texts": ["said again"]}) + "\n"
            for n in range(4)
            for k in range(2)
        ),
        encoding="utf-8",
    )
    common = ["reinforce", captions(tmp_path), "--images", tmp_path / "pictures"]
    teachers = ["--teacher", "reinforce-means", "--teacher", "reinforce-turned"]
    more = ["--split", "train", "--views", 3, "--variants", 2, "--given", given_path]
    out = ["-o", tmp_path / "s"]

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(main, list(map(str, arguments)))

    done = run(*common, *teachers, *more, *out)
    assert done.exit_code == 0, done.output
    assert "3 pictures × 3, 6 texts × 2, by reinforce-means, reinforce-turned" in done.output
    store = Store(tmp_path / "s")
    assert store.text(1, 1) == "said again"
    said = json.loads(run(*common, *teachers, *more, *out, "--json").output)  # opened, not made
    assert (said["images"], said["views"], said["variants"]) == (3, 3, 2)
    for arguments, says in (
        ([*common, "--teacher", "reinforce-maens", *out], "did you mean 'reinforce-means'"),
        ([*common, *teachers, *out], "was made of another data set"),
        ([*common, *teachers, "--scale", 1, "--scale", 2, "--scale", 3, *out], "for 2 teachers"),
        ([*common, *out], "Missing option '--teacher'"),
        ([*common, *teachers, "--least", 3, *out], "least"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2
        assert says in done.output, done.output
        assert done.output.count("\n") == 1


def test_importing_it_brings_no_torch() -> None:
    code = (
        "import sys, crossrank_reinforce; crossrank_reinforce.reinforce\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
