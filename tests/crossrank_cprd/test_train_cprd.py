"""The training script on a tiny split: a killed run ends as one that was left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
from crossrank.testing import make_collection
from crossrank_cprd.saving import load_card

RESEARCH = Path(__file__).parents[2] / "research"
CAPTIONS = 5


def write_splits(folder: Path) -> None:
    """Write pictures, and captions whose embeddings are near their picture's."""
    for seed, split in enumerate(("train", "val", "test")):
        count = 12 if split == "train" else 6
        images = make_collection("image", count, seed=seed)
        texts = make_collection("text", count * CAPTIONS, seed=seed)
        near = np.repeat(images["embedding"], CAPTIONS, axis=0) + 0.3 * texts["embedding"]
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        names = [f"{split}{row}.jpg" for row in range(count)]
        captions = [f"{name}#{number}" for name in names for number in range(CAPTIONS)]
        cr.Collection(names, "image", embedding=images["embedding"], tokens=images["tokens"]).save(
            folder / f"images_{split}"
        )
        cr.Collection(captions, "text", embedding=near, tokens=texts["tokens"]).save(
            folder / f"words_{split}"
        )


def start(features: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(RESEARCH / "train_cprd.py"), "--features", str(features)]
    command += ["-o", str(out), "--depth", "8", "--anchors", "6", "--hidden", "8", "--seeds", "0"]
    command += ["--set", "epochs=15", "batch=12", "hardest=4", "cprd.weight=0.1", *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    said, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    return said


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("features")
    write_splits(folder)
    return folder


def test_a_killed_run_goes_on_to_the_same_students(features: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(features, whole, "--objectives", "none", "cprd"))
    victim = start(features, killed, "--objectives", "none", "cprd")
    until = time.monotonic() + 300
    checkpoint = killed / "cprd-0.checkpoint.safetensors"
    while not checkpoint.exists() and victim.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert victim.returncode == -signal.SIGKILL
    assert not (killed / "cprd-0.safetensors").exists()
    finish(start(features, killed, "--objectives", "none", "cprd"))
    for name in ("none-0", "cprd-0"):
        for ending in ("safetensors", "json"):
            file = f"{name}.{ending}"
            assert (killed / file).read_bytes() == (whole / file).read_bytes(), file


def test_it_reports_every_objective_on_val_and_when_asked_on_test(
    features: Path, tmp_path: Path
) -> None:
    said = finish(start(features, tmp_path, "--test"))
    assert said.count("\nval") + said.startswith("val") == 4
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert [run["objective"] for run in figures["runs"]] == ["none", "cprd", "kl", "listmle"]
    for run in figures["runs"]:
        assert 0 <= run["test"]["t2i R@1"] <= 100
        card = load_card(tmp_path / run["student"])
        assert card.about["recipe"]["epochs"] == 15
        assert card.about["recipe"]["weight"] == (0.1 if run["objective"] == "cprd" else 0.025)
    history = load_card(tmp_path / "none-0.safetensors").about["history"]
    assert len(history) == 16 and history[0]["epoch"] == 0
