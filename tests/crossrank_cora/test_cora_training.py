"""The training script on toy features: what was killed ends as what was left alone."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossrank_cora.network import Cora
from crossrank_graphs import Graph, graph_of_names
from toys.cora import SCENES, SIZES, vectors

RESEARCH = Path(__file__).parents[2] / "research"
PICTURES = 12


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(RESEARCH))
    data = importlib.import_module("cora_data")
    monkeypatch.setattr(data, "phrase_vectors", lambda phrases: vectors(phrases).astype(np.float32))
    return importlib.import_module("cora_training")


def training_set(changed: bool) -> Any:
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(PICTURES, 6, SIZES.region)).astype(np.float16)
    graphs = [SCENES[row % len(SCENES)] for row in range(5 * PICTURES)]

    def change(graph: Graph) -> Sequence[Graph]:
        objects = [(each.name, ["blue"]) for each in graph.objects[::-1]]
        return [graph_of_names("", objects, [])] * bool(objects)

    module = importlib.import_module("cora_data")
    crops = [cells[:, ::-1]] if changed else []
    return module.TrainingSet.of(cells, graphs, change if changed else None, crops)


def network(seed: int = 0) -> Cora:
    torch.manual_seed(seed)
    return Cora(SIZES, dropout=0.1)


def measure(trained: Cora) -> dict[str, float]:
    return {"rsum": float(trained.texts.node.weight.abs().sum())}


@pytest.mark.parametrize("changed", (False, True))
def test_a_killed_training_ends_as_one_that_was_left_alone(
    training: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    data = training_set(changed)
    recipe = training.Recipe(epochs=4, batch=5, cells=4, patience=9)
    settings = {"seed": 3, "changed": changed}

    def fit(name: str, recipe: Any = recipe) -> Any:
        path = tmp_path / f"{name}.safetensors"
        return training.fit(network(), recipe, data, settings, path, measure)

    whole, told = fit("whole")
    loss, left = training.Stage.loss, iter(range(5))

    def killed(stage: Any, *args: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return loss(stage, *args)

    monkeypatch.setattr(training.Stage, "loss", killed)
    with pytest.raises(KeyboardInterrupt):
        fit("killed")
    monkeypatch.setattr(training.Stage, "loss", loss)
    again, retold = fit("killed")
    assert told == retold and len(told) == 4
    mine, other = whole.state_dict(), again.state_dict()
    assert all(torch.equal(mine[name], other[name]) for name in mine)
    assert any(not torch.equal(each, mine[name]) for name, each in network().state_dict().items())
    with pytest.raises(SystemExit, match="other settings"):
        fit("killed", training.Recipe(epochs=5, batch=5, cells=4, patience=9))


def test_too_few_pictures_are_refused(training: Any, tmp_path: Path) -> None:
    recipe = training.Recipe(batch=PICTURES + 1)
    with pytest.raises(SystemExit, match=f"more than {PICTURES} pictures"):
        training.fit(network(), recipe, training_set(False), {"seed": 0}, tmp_path / "c", measure)
