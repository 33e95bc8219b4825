"""Whatever is wrong with a checkpoint is one clear error; fingerprints tell checkpoints apart."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

import crossrank as cr
from crossrank.errors import (
    MissingPackageError,
    ParameterError,
    PluginError,
    StoreError,
)
from crossrank_clip.checkpoint import load_checkpoint
from crossrank_clip.encoder import ClipEncoder
from crossrank_clip.parameters import ClipParameters
from toys.tiny_tokenizers import transformers

Folder = Callable[[str], Path]


@pytest.fixture
def folder(checkpoint: Folder, tmp_path: Path) -> Path:
    """Return a copy of a checkpoint that a test may break."""
    return Path(shutil.copytree(checkpoint("clip"), tmp_path / "clip"))


def load(model: Path | str, **params: Any) -> Any:
    return load_checkpoint(ClipParameters(model=str(model), **params))


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"model": " "}, "model is ' '"),
        ({"revision": ""}, "revision is ''"),
        ({"device": 0}, "device is 0"),
        ({"dtype": "int8"}, "dtype is 'int8'; give one of float32, bfloat16, float16"),
        ({"local_files_only": "yes"}, "local_files_only is 'yes'; give true or false"),
        ({"modle": "x"}, "no parameter 'modle'; did you mean 'model'?"),
    ],
)
def test_a_wrong_parameter_is_refused_at_once(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says.replace("?", r"\?")):
        ClipEncoder(**params)


def test_a_device_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ParameterError, match=r"cannot use the device 'nonsense'.*device='cpu'"):
        load(folder, device="nonsense")


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_a_missing_package_is_named_with_the_command(
    package: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"'{package}'.*crossrank\[clip\]"):
        load(folder)


def test_a_tokenizer_that_needs_a_missing_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ImportError("\nSiglipTokenizer requires the SentencePiece library\n")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", refuse)
    with pytest.raises(MissingPackageError, match=r"requires the SentencePiece.*crossrank\[clip\]"):
        load(folder)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/no/such/folder", "a/b/c"])
def test_a_path_that_is_not_there(name: str) -> None:
    with pytest.raises(StoreError, match=f"{name} is no folder"):
        load(name)


def test_a_file_instead_of_a_folder(folder: Path) -> None:
    with pytest.raises(StoreError, match="is no folder; give the one that holds"):
        load(folder / "model.safetensors")


def test_a_folder_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no config\.json.*save_pretrained"):
        load(tmp_path)


def test_a_folder_has_no_revision(folder: Path) -> None:
    with pytest.raises(ParameterError, match="has no revision 'main'"):
        load(folder, revision="main")


@pytest.mark.parametrize("config", [{"model_type": "bert"}, {"model_type": "novel"}, {}])
def test_a_model_of_another_family(folder: Path, config: dict[str, str]) -> None:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ParameterError, match=r"not of the CLIP family.*siglip2"):
        load(folder)


def test_code_from_a_checkpoint_is_never_run(folder: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    (folder / "evil.py").write_text(f"open({str(witness)!r}, 'w')", encoding="utf-8")
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        settings = json.loads((folder / name).read_text(encoding="utf-8"))
        auto = ("AutoConfig", "AutoModel", "AutoImageProcessor")
        settings["auto_map"] = dict.fromkeys(auto, "evil.Evil")
        settings["auto_map"]["AutoTokenizer"] = ["evil.Evil", "evil.Evil"]
        (folder / name).write_text(json.dumps(settings), encoding="utf-8")
    load(folder)
    assert not witness.exists()


def test_a_checkpoint_without_its_text_tower(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if "text_model" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StoreError, match=r"lacks \d+ weights, among them text_model"):
        load(folder)


def test_a_truncated_weight_file(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="no complete checkpoint"):
        load(folder)


@pytest.mark.parametrize(
    "missing",
    [["model.safetensors"], ["preprocessor_config.json"], ["vocab.json", "merges.txt"]],
    ids=["weights", "image processor", "tokenizer"],
)
def test_a_missing_file(folder: Path, missing: list[str]) -> None:
    for name in missing:
        (folder / name).unlink()
    if "vocab.json" in missing:
        (folder / "tokenizer_config.json").unlink()
    with pytest.raises(StoreError, match="no complete checkpoint"):
        load(folder)


def test_a_config_that_is_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"no complete checkpoint.*JSON"):
        load(folder)


def test_revision_and_dtype_reach_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    asked: dict[str, dict[str, Any]] = {}

    class Part:
        all_special_ids = (0,)

        def __len__(self) -> int:
            return 9

        def eval(self) -> Part:
            return self

        def to(self, device: str) -> Part:
            asked["device"] = {"device": device}
            return self

    def recorded(name: str, result: Any) -> Callable[..., Any]:
        def call(source: str, **options: Any) -> Any:
            asked[name] = {"source": source, **options}
            return result

        return call

    monkeypatch.setattr(
        transformers.PretrainedConfig,
        "get_config_dict",
        recorded("config", ({"model_type": "clip"}, {})),
    )
    whole = (Part(), {"missing_keys": ["logit_scale"], "mismatched_keys": []})
    for name, result in (("Model", whole), ("ImageProcessor", Part()), ("Tokenizer", Part())):
        auto = getattr(transformers, f"Auto{name}")
        monkeypatch.setattr(auto, "from_pretrained", recorded(name, result))
    params = ClipParameters(model="someone/clip", revision="abc123", dtype="bfloat16")
    load_checkpoint(params)
    assert set(asked) == {"config", "Model", "ImageProcessor", "Tokenizer", "device"}
    for name in ("config", "Model", "ImageProcessor", "Tokenizer"):
        assert asked[name]["source"] == "someone/clip"
        assert asked[name]["revision"] == "abc123"
        assert asked[name]["local_files_only"] is True, "the cache comes first"
        assert name == "config" or asked[name]["trust_remote_code"] is False
    assert asked["Model"]["dtype"] is torch.bfloat16


def test_a_fingerprint_knows_the_content_of_a_folder(folder: Path, tmp_path: Path) -> None:
    first = ClipEncoder(model=folder).fingerprint()
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    assert ClipEncoder(model=copy).fingerprint() == first
    assert ClipEncoder(model=folder, device="cuda", local_files_only=True).fingerprint() == first
    assert ClipEncoder(model=folder, dtype="float16").fingerprint() != first
    weights = load_file(copy / "model.safetensors")
    weights["visual_projection.weight"][0, 0] += 1
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert ClipEncoder(model=copy).fingerprint() != first


def test_a_fingerprint_knows_name_and_revision_on_the_hub() -> None:
    one = ClipEncoder(model="someone/clip", revision="abc")
    assert one.fingerprint() == ClipEncoder(model="someone/clip", revision="abc").fingerprint()
    assert one.fingerprint() != ClipEncoder(model="someone/clip").fingerprint()
    assert one.fingerprint() != ClipEncoder(model="someone/other", revision="abc").fingerprint()


def test_a_fingerprint_of_nothing_is_the_same_clear_error() -> None:
    with pytest.raises(StoreError, match="is no folder"):
        ClipEncoder(model="./nowhere").fingerprint()


def test_the_hub_refuses_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    class RefusedError(HfHubHTTPError):
        def __init__(self) -> None:
            Exception.__init__(self, "401 Client Error.\n\nRepository Not Found")

    def refuse(*_: Any, **options: Any) -> None:
        assert options["revision"] == "v2"
        assert options["timeout"] <= 10
        raise RefusedError

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    with pytest.raises(PluginError) as caught:
        load("crossrank-tests/no-such-model", revision="v2")
    message = str(caught.value)
    assert "'crossrank-tests/no-such-model'" in message
    assert "revision v2" in message
    assert "401 Client Error" in message
    assert "\n" not in message


def test_an_item_without_a_picture(folder: Path) -> None:
    with pytest.raises(cr.errors.InputError, match="the item 'x' has no image"):
        ClipEncoder(model=folder).encode_batch([cr.Item("x", text="a")], "image", ("size",))
