"""The cycle loss and the training around it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, ParameterError, StoreError
from crossrank_knowledge import KnowledgeBank, cycle_loss, refine
from crossrank_knowledge.cycle import cycle_logits

torch = pytest.importorskip("torch")

REGIONS = np.array([[1, 0.1], [0.1, 1], [1, 1]])
UNIT = REGIONS / np.linalg.norm(REGIONS, axis=1, keepdims=True)


def naive(u: Any, r: Any, w: Any, temperature: float) -> tuple[float, float]:
    u, r = u @ w, r @ w

    def softmax(row: Any) -> Any:
        exp = np.exp(row - row.max())
        return exp / exp.sum()

    def term(own: Any, other: Any) -> float:
        back = [sum(p * o for p, o in zip(softmax(other @ x / temperature), other, strict=True))
                for x in own]  # fmt: skip
        return -sum(
            float(np.log(softmax(np.array([x @ b for b in back]) / temperature)[n]))
            for n, x in enumerate(own)
        )

    return term(u, r), term(r, u)


def test_cycle_loss_vector_with_the_terms_in_their_places() -> None:
    words, regions = cycle_loss(torch.eye(2).double(), torch.tensor(UNIT), torch.eye(2).double())
    assert words.item() == pytest.approx(1.155837293, abs=1e-8)
    assert regions.item() == pytest.approx(2.943173653, abs=1e-8)
    mean = cycle_loss(
        torch.eye(2).double(), torch.tensor(UNIT), torch.eye(2).double(), reduction="mean"
    )
    assert mean[0].item() == pytest.approx(1.155837293 / 2, abs=1e-8)
    assert mean[1].item() == pytest.approx(2.943173653 / 3, abs=1e-8)


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_cycle_loss_equals_the_loops(temperature: float) -> None:
    rng = np.random.default_rng(1)
    u, r, w = rng.normal(size=(5, 4)), rng.normal(size=(7, 4)), rng.normal(size=(4, 4))
    found = cycle_loss(torch.tensor(u), torch.tensor(r), torch.tensor(w), temperature)
    assert [term.item() for term in found] == pytest.approx(naive(u, r, w, temperature))


def test_a_temperature_may_be_learned() -> None:
    rng = np.random.default_rng(2)
    u, r, w = (torch.tensor(rng.normal(size=shape)) for shape in ((5, 4), (7, 4), (4, 4)))
    learned = torch.nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda given: cycle_loss(u, r, w, given), learned)
    for value, number in zip(cycle_loss(u, r, w, learned), cycle_loss(u, r, w, 0.5), strict=True):
        assert value.item() == number.item()
    cycle_logits(torch.nn.Parameter(u), r, torch.tensor(0.5))  # whatever kind of tensor the words
    with pytest.raises(ParameterError, match=r"temperature is -1\.0; give a positive number"):
        cycle_loss(u, r, w, torch.tensor(-1.0))


def test_cycle_loss_refuses_what_does_not_fit() -> None:
    eye = torch.eye(2)
    with pytest.raises(InputError, match="do not fit"):
        cycle_loss(eye, torch.ones(3, 3), eye)
    with pytest.raises(InputError, match="at least one"):
        cycle_loss(eye, torch.ones(0, 2), eye)
    with pytest.raises(ParameterError, match="temperature is 0"):
        cycle_loss(eye, eye, eye, temperature=0)
    with pytest.raises(ParameterError, match="'sum' or 'mean'"):
        cycle_loss(eye, eye, eye, reduction="none")


def world(seed: int = 0, size: int = 12) -> tuple[KnowledgeBank, cr.Collection]:
    """Make words and regions that differ by noise in some dimensions, which W can turn down."""
    rng = np.random.default_rng(seed)
    looks = np.zeros((40, size), np.float32)
    looks[:, :6] = rng.normal(size=(40, 6))
    cells = np.repeat(looks, 8, axis=0) + 0.1 * rng.normal(size=(320, size)).astype(np.float32)
    cells[:, 6:] += 2.0 * rng.normal(size=(320, size - 6))
    prototypes = looks + 0.05 * rng.normal(size=looks.shape)
    bank = KnowledgeBank(
        [f"w{n}" for n in range(40)], prototypes, mean=np.zeros(size), encoder="toy:1"
    )
    order = rng.permutation(320)
    images = cr.Collection(
        [str(n) for n in range(80)],
        "image",
        encoder="toy:1",
        regions=cr.Ragged(cells[order].astype(np.float32), [4] * 80),
    )
    return bank, images


OPTIONS: dict[str, Any] = {
    "steps": 60,
    "words": 16,
    "regions": 64,
    "learning_rate": 0.02,
    "every": 10,
    "held_out": 0.25,
}


def test_held_out_cycle_accuracy_rises() -> None:
    bank, images = world()
    refined = refine(bank, images, **OPTIONS)
    accuracies = refined.data["refined"]["accuracies"]
    assert max(accuracies) > accuracies[0]
    assert refined.parent == bank.fingerprint() and refined.weight is not None
    np.testing.assert_allclose(refined.prototypes, bank.prototypes @ refined.weight, atol=1e-5)
    np.testing.assert_allclose(refined.mean, bank.mean @ refined.weight, atol=1e-6)


def test_it_stops_early() -> None:
    bank, images = world()
    refined = refine(bank, images, **{**OPTIONS, "learning_rate": 1e-9, "patience": 2})
    assert len(refined.data["refined"]["accuracies"]) == 3
    assert refined.weight is not None
    np.testing.assert_array_equal(refined.weight, np.eye(12))


def test_refining_twice_composes_the_maps(tmp_path: Path) -> None:
    bank, images = world()
    once = refine(bank, images, tmp_path / "once", **OPTIONS)
    twice = refine(once, images, **{**OPTIONS, "seed": 1})
    assert twice.weight is not None and twice.parent == once.fingerprint()
    np.testing.assert_allclose(twice.prototypes, bank.prototypes @ twice.weight, atol=1e-4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"temperature": 0.0}, "temperature"),
        ({"held_out": 1.0}, "between 0 and 1"),
    ],
)
def test_bad_options(option: dict[str, Any], message: str) -> None:
    bank, images = world()
    with pytest.raises(ParameterError, match=message):
        refine(bank, images, **option)


def test_bad_input(tmp_path: Path) -> None:
    bank, images = world()
    with pytest.raises(FeatureMismatchError, match="12 dimensions"):
        refine(bank, cr.Collection(["a"], "image", regions=cr.Ragged(np.ones((2, 3)), [2])))
    other = cr.Collection(images.ids, "image", encoder="other:2", regions=images["regions"])
    with pytest.raises(FeatureMismatchError, match="other:2"):
        refine(bank, other)
    few = images.take([0, 1, 2])
    with pytest.raises(InputError, match="3 pictures are too few"):
        refine(bank, few)
    spoilt = np.array(images["regions"].flat)
    spoilt[3] = np.nan
    with pytest.raises(InputError, match="not all finite"):
        refine(bank, images.with_features(regions=cr.Ragged(spoilt, images["regions"].lengths)))


class KilledError(Exception):
    """Stands for a kill."""


def killer(at: int) -> Any:
    def progress(what: str, done: int, total: int) -> None:
        if done == at:
            raise KilledError

    return progress


def test_a_stopped_refinement_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    bank, images = world()
    whole = refine(bank, images, tmp_path / "whole", **OPTIONS)
    out = tmp_path / "stopped"
    for at in (7, 10, 34, 59):
        with pytest.raises(KilledError):
            refine(bank, images, out, progress=killer(at), **OPTIONS)
    with pytest.raises(StoreError, match="another refinement"):
        refine(bank, images, out, **{**OPTIONS, "seed": 9})
    assert refine(bank, images, out, **OPTIONS) == whole
    assert not (tmp_path / "stopped.partial").exists()
    assert refine(bank, images, out, **OPTIONS) == whole
    with pytest.raises(StoreError, match="exists already"):
        refine(bank, images, out, **{**OPTIONS, "seed": 9})


SCRIPT = """
import sys
import torch
torch.set_num_threads(1)
import crossrank as cr
from crossrank_knowledge import KnowledgeBank, refine
bank, images = KnowledgeBank.open(sys.argv[1]), cr.Collection.open(sys.argv[2])
refine(bank, images, sys.argv[3], steps=400, words=16, regions=64, learning_rate=0.02, every=10,
       held_out=0.25, patience=99)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_refinement_killed_at_random_moments_gives_the_same_bank(tmp_path: Path) -> None:
    bank, images = world()
    bank.save(tmp_path / "bank")
    images.save(tmp_path / "images")
    whole, out = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "bank"), str(tmp_path / "images")]
    subprocess.run([*command, str(whole)], check=True)
    moments = random.Random(3)
    kills = 0
    for _ in range(20):
        process = subprocess.Popen([*command, str(out)])
        before = _modified(tmp_path)
        while process.poll() is None and _modified(tmp_path) == before:
            time.sleep(0.005)
        time.sleep(moments.uniform(0.0, 0.2))
        if process.poll() is None and kills < 2:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        if out.is_dir() and not (tmp_path / "killed.partial").is_dir():
            break
    assert kills > 0
    for name in ("bank.safetensors", "words.jsonl", "bank.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def _modified(folder: Path) -> int:
    """Tell when the last checkpoint appeared."""
    try:
        return (folder / "killed.partial" / "refine.safetensors").stat().st_mtime_ns
    except OSError:
        return 0
