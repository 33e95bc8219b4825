"""Whatever is wrong with a checkpoint is one clear error; the hub is never asked in vain."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import crossrank as cr
from crossrank.errors import (
    InputError,
    MissingPackageError,
    ParameterError,
    PluginError,
    StoreError,
)
from crossrank_blip2 import Blip2Reranker, backend_of
from toys import tiny_blip2
from toys.blip2 import run
from toys.tiny_tokenizers import transformers


@pytest.fixture
def folder(checkpoint: Path, tmp_path: Path) -> Path:
    """Return a copy of a checkpoint that a test may break."""
    return Path(shutil.copytree(checkpoint, tmp_path / "blip2"))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Let the hub be out of reach and its cache empty; return who asked for what."""
    asked: list[str] = []

    def refuse(self: Any, name: str, **options: Any) -> None:
        asked.append(name)
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return asked


def change_config(folder: Path, change: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    change(config)
    path.write_text(json.dumps(config), encoding="utf-8")


def test_a_folder_scores_as_the_model_in_it(
    checkpoint: Path, model: Any, tokenizer: Any, texts: cr.Collection, images: cr.Collection
) -> None:
    expected = run(Blip2Reranker(model=model, tokenizer=tokenizer), texts, images).to_similarity()
    for given in (str(checkpoint), checkpoint):
        stage = cr.Stage("blip2", params={"model": given, "score": "itm+itc"})
        found = run(stage.scorer, texts, images).to_similarity()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_model_object_finds_the_tokenizer_it_was_saved_with(checkpoint: Path) -> None:
    loaded = transformers.Blip2ForImageTextRetrieval.from_pretrained(checkpoint)
    assert len(backend_of(loaded).tokenise(["a dog"])) == 1
    bare = tiny_blip2.make_model()
    bare.tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    assert len(backend_of(bare).tokenise(["a dog"])) == 1
    assert len(backend_of(tiny_blip2.make_model(), checkpoint).tokenise(["a dog"])) == 1


def test_a_model_object_without_a_tokenizer_asks_for_berts(no_network: list[str]) -> None:
    with pytest.raises(PluginError, match=r"tokenizer 'bert-base-uncased'.*tokenizer='/path/to"):
        backend_of(tiny_blip2.make_model())
    assert no_network == ["bert-base-uncased"]


@pytest.mark.parametrize("revision", [None, "abc123"])
def test_a_hub_out_of_reach_is_one_error_that_names_the_way_out(
    revision: str | None, no_network: list[str]
) -> None:
    says = r"some/blip2.*no route to host.*--local-dir blip2.*give model='/path/to/blip2'"
    with pytest.raises(PluginError, match=says) as caught:
        backend_of("some/blip2", revision=revision)
    assert (f"--revision {revision}" in str(caught.value)) == (revision is not None)
    assert no_network == ["some/blip2"]


def test_a_hub_that_is_not_to_be_asked(no_network: list[str]) -> None:
    with pytest.raises(PluginError, match=r"local_files_only is set.*hf download some/blip2"):
        backend_of("some/blip2", local_files_only=True)
    assert not no_network


def test_a_run_with_a_model_that_is_not_there_fails_before_any_work(
    no_network: list[str], texts: cr.Collection, images: cr.Collection
) -> None:
    reranker = Blip2Reranker(model="some/blip2")
    with pytest.raises(PluginError, match="hf download"):
        run(reranker, texts, images)
    assert reranker.fingerprint() != Blip2Reranker(model="some/other").fingerprint()


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c"])
def test_a_path_that_is_not_there(name: str) -> None:
    with pytest.raises(StoreError, match=f"{name} is no folder"):
        backend_of(name)


def test_a_folder_has_no_revision(folder: Path) -> None:
    with pytest.raises(ParameterError, match="has no revision 'main'"):
        backend_of(folder, revision="main")


def test_another_kind_of_model(folder: Path) -> None:
    change_config(folder, lambda config: config.update(model_type="blip"))
    with pytest.raises(ParameterError, match="of type 'blip', not a BLIP-2"):
        backend_of(folder)


def test_an_old_revision_without_its_text_layers(folder: Path) -> None:
    def misspell(config: Any) -> None:
        config["qformer_config"].pop("use_qformer_text_input")
        config["qformer_config"]["qformer_text_input"] = True

    change_config(folder, misspell)
    with pytest.raises(InputError, match=r"use_qformer_text_input=true.*correct config.json"):
        backend_of(folder)


def test_an_image_size_that_the_weights_are_not_for(folder: Path) -> None:
    change_config(folder, lambda config: config["vision_config"].update(image_size=48))
    with pytest.raises(StoreError, match=r"position_embedding has another shape.*image_size"):
        backend_of(folder)


def test_weights_that_are_missing(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: each for name, each in weights.items() if not name.startswith("itm_head")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StoreError, match=r"lacks 2 weights.*itm_head"):
        backend_of(folder)


def test_a_truncated_weight_file(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="no complete checkpoint"):
        backend_of(folder)


def test_a_tokenizer_that_is_missing(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            path.unlink()
    with pytest.raises(StoreError, match=r"no complete checkpoint.*give tokenizer="):
        backend_of(folder)


def test_a_device_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ParameterError, match=r"cannot use the device 'nonsense'.*device='cpu'"):
        backend_of(folder, device="nonsense")


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_a_missing_package_is_named_with_the_command(
    package: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"'{package}'.*crossrank\[blip2\]"):
        backend_of(folder)


@pytest.mark.parametrize("name", ["blip2", "qperturb"])
def test_a_run_without_torch_names_the_command(name: str, tmp_path: Path) -> None:
    """The class is there without torch; what needs it says so when it is used."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np, crossrank as cr\n"
        "from PIL import Image\n"
        "Image.new('RGB', (8, 8)).save('a.png')\n"
        "boxes = cr.Ragged(np.zeros((0, 4)), [0])\n"
        "images = cr.Collection(['a'], 'image', path=['a.png'], boxes=boxes)\n"
        "texts = cr.Collection(['q'], 'text', text=['a dog'])\n"
        f"stage = cr.Stage({name!r}, fusion=cr.Replace(), params={{'model': 'nowhere'}})\n"
        "lists = cr.Candidates.from_lists({'q': ['a']}, candidate_ids=['a'])\n"
        "try:\n"
        "    cr.Pipeline(stage).rerank(lists, texts, images)\n"
        "except cr.errors.MissingPackageError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert f"'torch', which is not installed; pip install \"crossrank[{name}]\"" in done.stdout


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_float_type_of_the_run_or_of_the_parameter(
    dtype: str, checkpoint: Path, texts: cr.Collection, images: cr.Collection
) -> None:
    by_run, by_parameter = (
        Blip2Reranker(model=checkpoint),
        Blip2Reranker(model=checkpoint, dtype=dtype),
    )
    for reranker, given in ((by_run, dtype), (by_parameter, "float32")):
        run(reranker, texts, images, dtype=given)
        [backend] = reranker._backends.values()
        assert backend.dtype == getattr(torch, dtype)


@torch.no_grad()
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_leaves_the_qformer_in_float32(dtype: str, checkpoint: Path) -> None:
    full, half = (backend_of(checkpoint, dtype=each) for each in ("float32", dtype))
    narrow = {
        name.partition(".")[0]
        for name, weight in half.model.named_parameters()
        if weight.dtype != torch.float32
    }
    assert narrow == {"vision_model"}
    for name, weight in full.model.named_parameters():
        if not name.startswith("vision_model."):
            assert torch.equal(weight, half.model.get_parameter(name)), name
    tokens = full.tokenise(["a black dog", "two cats on the grass"])
    embeds = half.image_embeds(torch.randn(2, 3, half.image_size, half.image_size))
    assert embeds.dtype == getattr(torch, dtype)
    expected = full.itm_logits(embeds.float(), tokens)
    torch.testing.assert_close(half.itm_logits(embeds, tokens), expected)
    for row in range(2):  # a batch of one is another product, and rounds in float32 alone
        alone = half.itm_logits(embeds[row : row + 1], tokens.take(np.array([row])))
        torch.testing.assert_close(alone[0], expected[row], atol=1e-5, rtol=1e-5)


def test_a_checkpoint_is_recognised_by_its_files(folder: Path) -> None:
    before = Blip2Reranker(model=folder).fingerprint()
    assert Blip2Reranker(model=str(folder)).fingerprint() == before
    change_config(folder, lambda config: config.update(initializer_range=0.5))
    assert Blip2Reranker(model=folder).fingerprint() != before
