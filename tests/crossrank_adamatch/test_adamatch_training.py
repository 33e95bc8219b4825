"""The training script on toy features: what was killed ends as what was left alone."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import crossrank as cr
from crossrank_adamatch.network import AdaMatch, Sizes, load_network
from toys.adamatch import cell_boxes

RESEARCH = Path(__file__).parents[2] / "research"
SMALL = Sizes(cell=8, word=6, map=6, patch=8, hidden=8, dim=8, offsets=4)


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(RESEARCH))
    yield importlib.import_module("adamatch_training")


@pytest.fixture
def script(training: Any) -> Any:
    return importlib.import_module("train_adamatch")


def split(folder: Path, count: int = 12) -> Path:
    """Write pictures that show one thing in one cell, and captions that name it."""
    rng = np.random.default_rng(0)
    cells_of, words_of = rng.normal(size=(4, 8)), rng.normal(size=(4, 6))
    cells = 0.3 * rng.normal(size=(count, 6, 8))
    shown = np.arange(count) % 4
    cells[np.arange(count), rng.integers(6, size=count)] += cells_of[shown]
    words = 0.1 * rng.normal(size=(count, 2, 3, 6))
    words[:, :, 0] += words_of[shown][:, None]
    ids = [f"p{row}" for row in range(count)]
    cr.Collection(
        ids,
        "image",
        encoder="toy:1",
        regions=cr.Ragged(cells.reshape(-1, 8).astype(np.float16), [6] * count),
        token_boxes=cr.Ragged(np.tile(cell_boxes(2, 3), (count, 1)), [6] * count),
    ).save(folder / "regions")
    cr.Collection(
        [f"{id}#{number}" for id in ids for number in range(2)],
        "text",
        encoder="toy:1",
        words=cr.Ragged(words.reshape(-1, 6).astype(np.float32), [3] * (2 * count)),
    ).save(folder / "texts")
    return folder


def test_a_killed_training_ends_as_one_that_was_left_alone(
    training: Any, script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, encoder = script.training_pairs(split(tmp_path / "train"), "regions")
    assert encoder == "toy:1" and data.grid == (2, 3) and data.captions == 2
    recipe = training.Recipe(epochs=4, batch=6, patches=4)
    monkeypatch.setattr(script, "Sizes", lambda **given: Sizes(**{**asdict(SMALL), **given}))
    for out in ("whole", "killed"):
        (tmp_path / out).mkdir()
    script.train(data, encoder, tmp_path / "whole", 3, "adaptive", recipe)
    loss, left = training.Stage.loss, iter(range(5))

    def killed(stage: Any, *args: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return loss(stage, *args)

    monkeypatch.setattr(training.Stage, "loss", killed)
    with pytest.raises(KeyboardInterrupt):
        script.train(data, encoder, tmp_path / "killed", 3, "adaptive", recipe)
    assert not (tmp_path / "killed" / "adaptive3.safetensors").exists()
    monkeypatch.setattr(training.Stage, "loss", loss)
    script.train(data, encoder, tmp_path / "killed", 3, "adaptive", recipe)
    whole, again = (
        load_file(tmp_path / out / "adaptive3.safetensors") for out in ("whole", "killed")
    )
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    other = training.Recipe(epochs=5, batch=6, patches=4)
    (tmp_path / "killed" / "adaptive3.safetensors").unlink()
    with pytest.raises(SystemExit, match="other settings"):
        script.train(data, encoder, tmp_path / "killed", 3, "adaptive", other)


def test_it_learns_and_only_adaptive_boxes_move(
    training: Any, script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, encoder = script.training_pairs(split(tmp_path / "train", 24), "regions")
    monkeypatch.setattr(script, "Sizes", lambda **given: Sizes(**{**asdict(SMALL), **given}))
    recipe = training.Recipe(epochs=20, batch=8, patches=6, dropout=0.0, rate=0.01)
    moved = {}
    for kind in ("adaptive", "fixed"):
        script.train(data, encoder, tmp_path, 0, kind, recipe)
        network = load_network(tmp_path / f"{kind}0.safetensors")
        assert network.sizes.encoder == "toy:1" and network.sizes.fixed == (kind == "fixed")
        boxes = network.look(torch.from_numpy(data.cells[:4].astype(np.float32)).view(4, 2, 3, 8))[
            1
        ]
        sides = (boxes[..., 2:] - boxes[..., :2]).detach()
        moved[kind] = float((sides - torch.tensor([1 / 6, 1 / 4])).abs().max())
    assert moved["fixed"] < 1e-3 < moved["adaptive"]
    history = json.loads((tmp_path / "adaptive0.json").read_text())["history"]
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]


def test_adaptive_and_fixed_start_alike_and_see_the_same_batches(training: Any) -> None:
    networks = []
    for fixed in (False, True):
        torch.manual_seed(0)
        networks.append(AdaMatch(Sizes(**{**asdict(SMALL), "fixed": fixed})))
    cells = torch.randn(2, 2, 3, 8)
    tokens = [each.eval().look(cells)[0] for each in networks]
    torch.testing.assert_close(*tokens)


def test_the_loss_of_a_batch_is_the_papers(training: Any, tmp_path: Path, script: Any) -> None:
    from crossrank_adamatch.losses import adamatch_loss
    from crossrank_filip.loss import late_interaction

    data, _ = script.training_pairs(split(tmp_path / "train"), "regions")
    stage = training.Stage(AdaMatch(SMALL), training.Recipe(patches=6, dropout=0.0)).eval()
    pictures = torch.tensor([5, 0, 3])
    torch.manual_seed(1)
    found = stage.loss(data, pictures)
    torch.manual_seed(1)
    torch.randperm(6)
    captions = pictures * 2 + torch.randint(2, (3,))
    patches = stage.network.look(data.maps_of(pictures))[0]
    words = stage.network.read(torch.from_numpy(np.concatenate([data.words[c] for c in captions])))
    scores = late_interaction(patches, words.view(3, 3, -1))
    expected = adamatch_loss(*scores, torch.eye(3, dtype=torch.bool), 0.07)
    torch.testing.assert_close(found, expected)


def test_too_few_pictures_are_refused(training: Any, script: Any, tmp_path: Path) -> None:
    data, encoder = script.training_pairs(split(tmp_path / "train"), "regions")
    with pytest.raises(SystemExit, match="more than 12 pictures"):
        script.train(data, encoder, tmp_path, 0, "fixed", training.Recipe(batch=13))
