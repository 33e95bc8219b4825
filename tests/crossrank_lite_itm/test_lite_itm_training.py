"""The training script on toy features: a killed run ends as one that was left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open

import crossrank as cr
from crossrank_lite_itm.network import load_network

RESEARCH = Path(__file__).parents[2] / "research"
EPOCHS = 16
THINGS = 6


def write_split(folder: Path, name: str, count: int) -> list[str]:
    """Write pictures of things in cells, and captions whose words are things; one in noise."""
    chance = np.random.default_rng(len(name))
    cells_of, words_of = chance.normal(size=(2, THINGS, 12)).astype(np.float32)
    shown = [chance.choice(THINGS, 2, replace=False) for _ in range(count)]

    def near(vectors: NDArray[Any], things: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = vectors[things] + 0.1 * chance.normal(size=(len(things), 12)).astype(
            np.float32
        )
        return found

    regions = [near(cells_of, each[[0, 0, 1, 1]]) for each in shown]
    words = [near(words_of, each) for each in shown for _ in range(5)]
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in words]
    files = [f"{name}{row}.jpg" for row in range(count)]
    embedding = np.eye(8, dtype=np.float32)[chance.integers(8, size=count)]
    seen = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in regions]
    cr.Collection(
        files,
        "image",
        encoder="toy:1",
        embedding=embedding,
        regions=cr.Ragged.from_list(regions),
        tokens=cr.Ragged.from_list(seen),
    ).save(folder / f"images_{name}")
    cr.Collection(
        [f"{file}#{number}" for file in files for number in range(5)],
        "text",
        encoder="toy:1",
        embedding=np.repeat(embedding, 5, axis=0),
        words=cr.Ragged.from_list(words),
        tokens=cr.Ragged.from_list(unit),
    ).save(folder / f"words_{name}")
    captions = [f"thing {number}" for number in range(5)]
    return [json.dumps({"filename": file, "split": name, "captions": captions}) for file in files]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "flickr8k").mkdir()
    lines = [*write_split(folder, "train", 12), *write_split(folder, "val", 6)]
    lines += write_split(folder, "test", 6)
    (folder / "flickr8k" / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def start(data: Path) -> Callable[..., subprocess.Popen[str]]:
    def started(step: str, out: Path, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(RESEARCH / "train_lite_itm.py"), step, "-o", str(out)]
        command += ["--work", str(data), "--views", "1", "--epochs", str(EPOCHS), "--batch", "6"]
        command += ["--dim", "8", "--hidden", "4", "--teachers", "1", "--members", "1"]
        command += ["--last", "2", "--last-epochs", str(EPOCHS), *options]
        environment = {**os.environ, "CROSSRANK_DATA": str(data), "OMP_NUM_THREADS": "1"}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)

    return started


def finish(process: subprocess.Popen[str]) -> str:
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return printed + said


@pytest.fixture(scope="module")
def whole(
    start: Callable[..., subprocess.Popen[str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of an uninterrupted run."""
    out = tmp_path_factory.mktemp("whole")
    said = finish(start("train", out))
    for name in ("teacher0", "member0", "last0", "last1"):
        assert said.count(f"{name}: epoch") == EPOCHS
    return out


@pytest.mark.parametrize("name", ["teacher0", "last1"])
def test_a_killed_run_goes_on_to_the_same_weights(
    start: Callable[..., subprocess.Popen[str]], whole: Path, tmp_path: Path, name: str
) -> None:
    """Whether it was killed in a teacher's first epochs or in those of a network it teaches."""
    victim, saved = start("train", tmp_path), tmp_path / f"{name}.checkpoint.safetensors"
    until = time.monotonic() + 300
    while not saved.exists() and victim.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    with safe_open(saved, "pt") as file:
        assert 1 <= len(json.loads(file.metadata()["history"])) < EPOCHS
    assert not (tmp_path / "lite_itm.safetensors").exists()

    said = finish(start("train", tmp_path))
    assert 1 <= said.count(f"{name}: epoch") < EPOCHS
    for file in ("lite_itm.safetensors", "training.json"):
        assert (tmp_path / file).read_bytes() == (whole / file).read_bytes(), file


def test_other_settings_do_not_go_on_from_a_checkpoint(
    start: Callable[..., subprocess.Popen[str]], whole: Path
) -> None:
    victim = start("train", whole, "--dim", "6")
    _, said = victim.communicate(timeout=300)
    assert victim.returncode != 0
    assert "is of other settings; remove it or choose another -o" in said


def test_it_learns_and_reports(start: Callable[..., subprocess.Popen[str]], whole: Path) -> None:
    said = finish(start("report", whole))
    figures = json.loads((whole / "figures.json").read_text(encoding="utf-8"))
    for history in figures["training"]["history"].values():
        assert history[-1]["loss"] < history[0]["loss"]
    network = load_network(whole / "lite_itm.safetensors")
    assert network.sizes.members == 2
    assert network.sizes.encoder == "toy:1"
    with safe_open(whole / "last0.checkpoint.safetensors", "pt") as file:
        learned = file.get_tensor("stage.averaged.members.0.log_cell_sharpness").exp()
    sharper = network.attentions[0].log_cell_sharpness.exp()
    assert float(sharper / learned) == pytest.approx(2, rel=2e-3)  # the file is float16
    for direction in ("t2i", "i2t"):
        for system in ("base", "lite_itm@32", "base+lite_itm@32", "base+filip+lite_itm@100"):
            assert f"{direction} {system} R@1" in figures["test"]
    assert set(figures["fusion"]) > {"t2i base+lite_itm@32", "i2t base+filip+lite_itm@100"}
    assert "base+filip+lite_itm@32" in said
    assert any((whole / "raw" / "test").iterdir())
    finish(start("report", whole))
    assert json.loads((whole / "figures.json").read_text(encoding="utf-8")) == figures
