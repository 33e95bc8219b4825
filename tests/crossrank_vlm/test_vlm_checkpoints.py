"""What is refused of parameters, folders and weights, and read out of them."""

from __future__ import annotations

import json
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import crossrank as cr
from crossrank.errors import (
    MissingPackageError,
    ParameterError,
    PluginError,
    StoreError,
)
from toys.vlm_oracle import Oracle, prompt, sigmoid

from .conftest import TEXTS, images, scored, texts


def copy(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_an_unknown_preset_and_other_wrong_parameters_are_refused_when_the_stage_is_made() -> None:
    for params, said in (
        ({"preset": "qwen"}, "preset is 'qwen'; give one of qwen3-vl, lighton"),
        ({"true": ""}, "true is ''; give a token"),
        ({"true": []}, r"true is \[\]"),
        ({"head": "conv"}, "head is 'conv'"),
        ({"max_length": 2}, "max_length is 2"),
        ({"batch_tokens": 0}, "batch_tokens is 0"),
        ({"reuse": "all"}, "reuse is 'all'"),
        ({"min_pixels": 9, "max_pixels": 4}, "max_pixels is 4, less than min_pixels 9"),
        ({"models": "x"}, "no parameter 'models'; did you mean 'model'"),
    ):
        with pytest.raises(ParameterError, match=said):
            cr.Stage("vlm", params={"model": "nowhere", **params})


def test_a_missing_folder_is_named(tmp_path: Path, paths: list[str]) -> None:
    with pytest.raises(StoreError, match=r"vlm: .*/nowhere is no folder"):
        scored(texts(), images(paths), model=tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"holds no config\.json"):
        scored(texts(), images(paths), model=tmp_path)


def test_without_a_network_the_hub_is_a_friendly_error(paths: list[str]) -> None:
    with pytest.raises(PluginError, match="hf download Qwen/none --local-dir none"):
        scored(texts(), images(paths), model="Qwen/none", local_files_only=True)


def test_a_model_without_a_vision_tower(qwen3: Path, tmp_path: Path, paths: list[str]) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen3", "hidden_size": 8}')
    with pytest.raises(ParameterError, match="'qwen3', which has no vision tower; give a check"):
        scored(texts(), images(paths), model=tmp_path)


def test_missing_weights_are_an_error_and_extra_ones_a_warning(
    qwen3: Path, tmp_path: Path, paths: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    more = copy(qwen3, tmp_path / "more")
    tensors = load_file(more / "model.safetensors")
    save_file(
        {**tensors, "extra.weight": torch.zeros(2)}, more / "model.safetensors", {"format": "pt"}
    )
    with caplog.at_level(logging.WARNING):
        scored(texts(), images(paths), model=more)
    assert "holds 1 tensors that the model has no place for: extra.weight" in caplog.text
    less = copy(qwen3, tmp_path / "less")
    gone = next(name for name in tensors if "mlp" in name and "language" in name)
    kept = {name: each for name, each in tensors.items() if name != gone}
    save_file(kept, less / "model.safetensors", {"format": "pt"})
    with pytest.raises(StoreError, match="lacks 1 weights, among them"):
        scored(texts(), images(paths), model=less)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_heads_out_of_the_checkpoint(
    kind: str, qwen3: Path, tmp_path: Path, paths: list[str]
) -> None:
    folder = copy(qwen3, tmp_path / kind)
    torch.manual_seed(1)
    if kind == "linear":
        head = {"score.weight": torch.randn(1, 32), "score.bias": torch.randn(1)}
    else:
        head = {
            "score.0.weight": torch.randn(32, 32) * 0.2,
            "score.0.bias": torch.randn(32),
            "score.2.weight": torch.randn(1, 32) * 0.2,
            "score.2.bias": torch.randn(1),
        }
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, **head}, folder / "model.safetensors", {"format": "pt"})
    preset = "jina-m0" if kind == "mlp" else "qwen3-vl"
    found = scored(texts(), images(paths), model=folder, preset=preset, head=kind)
    from crossrank.plugin.contents import Content

    oracle = Oracle(qwen3)
    query, document = Content(TEXTS[1]), Content(None, Path(paths[0]))
    text = prompt("qwen3_vl", preset, query, document)
    inputs = oracle.inputs(text, [Path(paths[0])], (100,) if kind == "mlp" else ())
    with torch.inference_mode():
        state = oracle.model.model(**inputs).last_hidden_state[0, -1]
    if kind == "linear":
        expected = float(head["score.weight"][0] @ state + head["score.bias"][0])
    else:
        inner = torch.relu(head["score.0.weight"] @ state + head["score.0.bias"])
        expected = float(head["score.2.weight"][0] @ inner + head["score.2.bias"][0]) - 2.65
    assert found[1, 0] == pytest.approx(sigmoid(expected), abs=2e-6)
    with pytest.raises(StoreError, match=f"has no {kind} head: it lacks score"):
        scored(texts(), images(paths), model=qwen3, preset=preset, head=kind)


def test_an_adapter_needs_its_folder_and_peft(
    qwen3: Path, tmp_path: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match=r"no folder with an adapter_config\.json"):
        scored(texts(), images(paths), model=qwen3, lora=tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    if find_spec("peft") is None:
        with pytest.raises(MissingPackageError, match=r"crossrank\[lora\]"):
            scored(texts(), images(paths), model=qwen3, lora=tmp_path)
    else:
        with pytest.raises(StoreError, match="does not fit the model"):
            scored(texts(), images(paths), model=qwen3, lora=tmp_path)


def test_a_torchvision_of_another_torch_is_a_friendly_error(
    qwen3: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its import fails inside transformers, and takes the classes with it."""
    from crossrank_vlm import checkpoint

    class Broken:
        __version__ = "5.23.0"

        @property
        def AutoModelForImageTextToText(self) -> Any:  # noqa: N802
            raise RuntimeError("operator torchvision::nms does not exist")

    with pytest.raises(ParameterError, match=r"nms does not exist\); install .* torchvision that"):
        checkpoint._model_class(Broken())


def test_no_code_out_of_a_checkpoint_is_run(qwen3: Path, tmp_path: Path, paths: list[str]) -> None:
    folder = copy(qwen3, tmp_path / "evil")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForImageTextToText": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('run')")
    found = scored(texts(), images(paths), model=folder)
    np.testing.assert_allclose(found, scored(texts(), images(paths), model=qwen3))
