"""The training script on a tiny synthetic split: a killed run ends as one that was left alone."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from crossrank_lite.heads import load_heads

RESEARCH = Path(__file__).parents[2] / "research"
EPOCHS = 20
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220)}


def write_data(folder: Path) -> None:
    """Write pictures of noise in three colours, with captions that name the colour."""
    chance = np.random.default_rng(0)
    (folder / "flickr8k" / "images").mkdir(parents=True)
    lines = []
    for split, count in (("train", 9), ("val", 3), ("test", 3)):
        for number in range(count):
            name, colour = list(COLOURS.items())[number % 3]
            noise = chance.integers(-30, 30, (40, 50, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            file = f"{split}{number}.jpg"
            Image.fromarray(pixels).save(folder / "flickr8k" / "images" / file)
            captions = [f"{name} noise, picture {number} seen {n} times" for n in range(5)]
            lines.append(json.dumps({"filename": file, "split": split, "captions": captions}))
    (folder / "flickr8k" / "captions.jsonl").write_text("\n".join(lines), encoding="utf-8")


def start(data: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(RESEARCH / "train_lite.py"), "-o", str(out), "--views", "2"]
    command += ["--epochs", "3", "--batch", "3", "--token-epochs", str(EPOCHS)]
    command += ["--token-batch", "3"]
    environment = {**os.environ, "CROSSRANK_DATA": str(data), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an uninterrupted run."""
    out = tmp_path_factory.mktemp("whole")
    said = finish(start(data, out))
    assert said.count("embedding: epoch") == 3
    assert said.count("tokens: epoch") == EPOCHS
    return out


def test_a_killed_run_goes_on_to_the_same_weights(data: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    shutil.copytree(whole / "features", out / "features")
    shard = out / "features" / "train-view1-00000.safetensors"
    shard.unlink()
    victim, saved = start(data, out), out / "tokens.checkpoint.safetensors"
    until = time.monotonic() + 300
    while not saved.exists() and victim.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    with safe_open(saved, "pt") as file:
        assert 1 <= len(json.loads(file.metadata()["history"])) < EPOCHS
    assert not (out / "heads.safetensors").exists()

    said = finish(start(data, out))
    assert "embedding: epoch" not in said
    assert 1 <= said.count("tokens: epoch") < EPOCHS
    for name in ("heads.safetensors", "figures.json", f"features/{shard.name}"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_it_learns_and_reports(whole: Path) -> None:
    figures = json.loads((whole / "figures.json").read_text(encoding="utf-8"))
    history = figures["history"]["embedding"]
    assert history[-1]["loss"] < history[0]["loss"]
    assert figures["heads"]["bytes"] == (whole / "heads.safetensors").stat().st_size
    assert set(figures["test"]) == {
        f"{direction} {system} R@{cut}"
        for direction in ("t2i", "i2t")
        for system in ("base", "filip", "fused")
        for cut in (1, 5, 10)
    }
    load_heads(whole / "heads.safetensors")


def test_other_settings_do_not_go_on_from_a_checkpoint(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(RESEARCH)
    checkpoint = importlib.import_module("lite_checkpoint")
    stage = torch.nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(stage.parameters())
    with pytest.raises(SystemExit, match="is of other settings; remove it or choose another -o"):
        checkpoint.restore(
            whole / "tokens.checkpoint.safetensors",
            stage,
            optimizer,
            checkpoint.Progress({"seed": 1}),
        )
