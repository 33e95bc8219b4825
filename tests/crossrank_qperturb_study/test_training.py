"""The training at toy length: a killed run goes on to the same weights; the losses are right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import tiny_blip2_model as tiny
import tiny_blip2_stages as stages
import train_tiny_blip2 as training
from tiny_blip2_scenes import KINDS, SIZE, allowed, caption, draw, pair

RESEARCH = Path(training.__file__).parent
TOY = "--seeds 7 --scenes 120 --sight-rounds 2 --itc-rounds 3 --itm-rounds 3 --steps 2 --val 10"


def words(out: Path, *more: str) -> list[str]:
    return ["-o", str(out), *TOY.split(), "--batch", "8", *more]


def start(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(RESEARCH / "train_tiny_blip2.py"), *words(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an uninterrupted run."""
    out = tmp_path_factory.mktemp("whole")
    training.main(words(out))
    figures = json.loads((out / "seed7" / "figures.json").read_text(encoding="utf-8"))
    assert [record["round"] for record in figures["history"]] == list(range(6))
    return out


def test_a_killed_run_goes_on_to_the_same_weights(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = start(tmp_path)
    checkpoint = tmp_path / "seed7" / "matching.checkpoint.safetensors"
    while process.poll() is None and not checkpoint.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert checkpoint.exists() and not (tmp_path / "seed7" / "figures.json").exists()
    training.main(words(tmp_path))
    assert "sight: round" not in caplog.text and 0 < caplog.text.count("matching: round") < 6
    one, other = (load_file(folder / "seed7" / "model.safetensors") for folder in (whole, tmp_path))
    assert one.keys() == other.keys()
    for name, each in one.items():
        assert torch.equal(each, other[name]), name


def test_a_finished_run_does_nothing_more(whole: Path, caplog: pytest.LogCaptureFixture) -> None:
    training.main(words(whole))
    assert "done before" in caplog.text and "round" not in caplog.text


def test_a_checkpoint_of_other_settings_is_refused(whole: Path) -> None:
    with pytest.raises(SystemExit, match="other settings"):
        training.main(words(whole, "--seeds", "7", "8", "--steps", "3"))


def test_the_vision_encoder_stays_frozen(whole: Path) -> None:
    sight = load_file(whole / "sight.checkpoint.safetensors")
    model = load_file(whole / "seed7" / "model.safetensors")
    compared = 0
    for name, each in model.items():
        if name.startswith("vision_model."):
            assert torch.equal(each, sight[f"stage.vision.{name.removeprefix('vision_model.')}"])
            compared += 1
    assert compared > 10


def test_covering_names_what_covers_a_patch_most() -> None:
    scene, grid = draw(np.random.default_rng(2)), 8
    kinds, boxes = stages.covering(scene, grid)
    owner = np.full((SIZE, SIZE), -1)
    for row, thing in enumerate(scene.things):
        owner[thing.box[1] : thing.box[3], thing.box[0] : thing.box[2]] = row
    patch = SIZE // grid
    for row in range(grid):
        for column in range(grid):
            part = owner[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
            counts = [(part == thing).sum() for thing in range(len(scene.things))]
            number = row * grid + column
            if max(counts) == 0:
                assert kinds[number] == -1
                continue
            assert counts[[t.kind for t in scene.things].index(kinds[number])] == max(counts)
            (thing,) = (t for t in scene.things if t.kind == kinds[number])
            np.testing.assert_allclose(boxes[number] * SIZE, thing.box)


@pytest.fixture(scope="module")
def captioned() -> tuple[Any, stages.Captioned]:
    torch.manual_seed(0)
    model = tiny.make_model().eval()
    scenes = [draw(np.random.default_rng([1, row])) for row in range(150)]
    return model, stages.Captioned.of(model, scenes)


def test_a_batch_tells_what_its_pictures_show_and_training_may_say(
    captioned: tuple[Any, stages.Captioned],
) -> None:
    _, data = captioned
    batch = data.batch(np.random.default_rng(0), 8)
    for row, fact in batch:
        assert fact in data.scenes[row].facts()
        assert pair(fact) in allowed("train")
        assert max(fact[0], fact[2]) < len(KINDS)


def test_the_contrast_is_that_of_a_naive_loop(captioned: tuple[Any, stages.Captioned]) -> None:
    model, data = captioned
    stage = stages.MatchingStage(model)
    batch = data.batch(np.random.default_rng(0), 8)
    found = stage.loss(data, batch, np.random.default_rng(4), itm=None).item()

    turned = np.random.default_rng(4).random(len(batch)) < 0.5
    texts = [
        caption(fact, turned=bool(turn)) for (_, fact), turn in zip(batch, turned, strict=True)
    ]
    told = stage.tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        vision = data.vision[[row for row, _ in batch]].float()
        pictures = tiny.picture_embeddings(model, vision).double().numpy()
        words = tiny.text_embeddings(model, told["input_ids"], told["attention_mask"])
    scores = np.array([[max(q @ w for q in p) for w in words.double().numpy()] for p in pictures])
    scores /= stage.temperature
    losses = []
    for own in range(len(batch)):
        for line, holds in (
            (scores[own], [f in data.scenes[batch[own][0]].facts() for _, f in batch]),
            (scores[:, own], [batch[own][1] in data.scenes[row].facts() for row, _ in batch]),
        ):
            kept = [value for n, value in enumerate(line) if n == own or not holds[n]]
            losses.append(np.log(np.sum(np.exp(kept))) - line[own])
    assert found == pytest.approx(np.mean(losses), abs=1e-4)
