"""Whatever is wrong with a model's name or weights is one clear error; nothing is guessed."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import crossrank as cr
from crossrank.errors import (
    ParameterError,
    PluginError,
    StoreError,
)
from crossrank_openclip import OpenClipEncoder, fold, open_clip
from crossrank_openclip.checkpoint import load_checkpoint
from crossrank_openclip.parameters import OpenClipParameters
from crossrank_openclip.source import recipe
from toys import tiny_openclip
from toys.tiny_openclip import needs_open_clip

Folder = Callable[[str], Path]


WEIGHTS = "open_clip_model.safetensors"


@pytest.fixture
def folder(checkpoint: Folder, tmp_path: Path) -> Path:
    """Return a copy of a checkpoint that a test may break."""
    return Path(shutil.copytree(checkpoint("vit"), tmp_path / "vit"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file that is there; what it holds does not matter for a recipe."""
    path = tmp_path / "weights.pt"
    path.write_bytes(b"x")
    return path


def load(model: str | Path, **params: Any) -> Any:
    name = f"local-dir:{model}" if isinstance(model, Path) else model
    return load_checkpoint(OpenClipParameters(model=name, **params))


def found(model: str, pretrained: Any = None, **params: Any) -> Any:
    return recipe(OpenClipParameters(model=model, pretrained=pretrained, **params))


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "needs the parameter 'model'"),
        ({"model": " "}, "model is ' '"),
        ({"model": "x", "pretrained": ""}, "pretrained is ''"),
        ({"model": "x", "quick_gelu": 1}, "quick_gelu is 1; give true or false, or None"),
        ({"model": "x", "reparameterize": "yes"}, "reparameterize is 'yes'"),
        ({"model": "x", "preprocess": 3}, "preprocess is 3; give a tag or a mapping"),
        ({"model": "x", "prompt": "a photo"}, "one {} in it"),
        ({"model": "x", "dtype": "int8"}, "dtype is 'int8'"),
        ({"model": "x", "device": 0}, "device is 0"),
        ({"modle": "x"}, "did you mean 'model'"),
    ],
)
def test_a_wrong_parameter_is_refused_at_once(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError) as caught:
        OpenClipEncoder(**params)
    assert says in str(caught.value)


@needs_open_clip
class TestNames:
    def test_an_unknown_model_names_its_neighbours(self) -> None:
        with pytest.raises(ParameterError, match=r"no model 'MobileCLIP-S3'; did you mean.*S1"):
            found("MobileCLIP-S3", "datacompdr")

    def test_an_unknown_tag_names_its_neighbours(self) -> None:
        with pytest.raises(ParameterError, match=r"neither a file nor a tag.*'datacompdr_lt'"):
            found("MobileCLIP-B", "datacompdr-tl")

    def test_a_name_needs_weights(self) -> None:
        with pytest.raises(ParameterError, match=r"ViT-B-32 needs pretrained=.*openai"):
            found("ViT-B-32")

    @pytest.mark.parametrize("model", ["MobileCLIP-S1", "MobileCLIP2-S4"])
    def test_a_hub_that_does_not_answer(self, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise OSError("no route to host\nmore")

        monkeypatch.setattr(open_clip(), "download_pretrained", refuse)
        tag = open_clip().list_pretrained_tags_by_model(model)[0]
        with pytest.raises(PluginError, match=rf"{model}:{tag} is not complete.*no route") as error:
            found(model, tag)
        assert "\n" not in str(error.value)

    def test_every_mobileclip_of_open_clip_can_be_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = open_clip()
        monkeypatch.setattr(module, "download_pretrained", lambda entry: "/weights")
        names = [pair for pair in module.list_pretrained() if pair[0].startswith("MobileCLIP")]
        assert len(names) >= 10
        for model, tag in names:
            entry = module.get_pretrained_cfg(model, tag)
            made = found(model, tag)
            assert made.look["mean"] == entry["mean"]
            assert made.look["interpolation"] == entry["interpolation"]
            assert not made.quick_gelu

    def test_a_file_of_mobileclip_takes_the_preparation_of_its_tag(self, file: Path) -> None:
        """open_clip itself gives it OpenAI's mean and std, and bicubic."""
        made = found("MobileCLIP2-S0", file)
        assert tuple(made.look["mean"]) == (0.0, 0.0, 0.0)
        assert tuple(made.look["std"]) == (1.0, 1.0, 1.0)
        assert made.look["interpolation"] == "bilinear"
        assert not made.quick_gelu, "its tags agree, so nobody has to say it"

    def test_quick_gelu_is_asked_for_where_tags_differ(self, file: Path) -> None:
        with pytest.raises(ParameterError, match=r"quick_gelu=True for OpenAI's.*GeoRSCLIP"):
            found("ViT-B-32", file)
        assert found("ViT-B-32", file, quick_gelu=True).quick_gelu
        assert not found("ViT-B-32", file, quick_gelu=False).quick_gelu
        assert found("ViT-B-32-quickgelu", file).quick_gelu
        with pytest.raises(ParameterError, match="give model='ViT-B-32'"):
            found("ViT-B-32-quickgelu", file, quick_gelu=False)

    def test_a_tag_knows_its_activation(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(open_clip(), "download_pretrained", lambda entry: "/weights")
        assert found("ViT-B-32", "openai").quick_gelu, "open_clip only warns"
        assert not found("ViT-B-32", "laion2b_s34b_b79k").quick_gelu
        with pytest.raises(ParameterError, match="was trained with quick_gelu=True"):
            found("ViT-B-32", "openai", quick_gelu=False)

    def test_preparation_is_asked_for_where_nothing_tells(self, file: Path) -> None:
        module = open_clip()
        differing = []
        for model in module.list_models():
            tags = module.list_pretrained_tags_by_model(model)
            looks = [module.get_pretrained_cfg(model, tag) for tag in tags]
            shown = {str((look.get("mean"), look.get("resize_mode"))) for look in looks}
            if len(shown) > 1:
                differing.append((model, tags))
        assert differing, "then the rule needs no test"
        model, tags = differing[0]
        with pytest.raises(ParameterError, match=r"its tags .* differ.*give preprocess="):
            found(model, file, quick_gelu=False)
        made = found(model, file, quick_gelu=False, preprocess=tags[0])
        assert tuple(made.look["mean"]) == module.get_pretrained_cfg(model, tags[0])["mean"]
        mine = {"mean": [0.5] * 3, "std": [0.5] * 3}
        assert found(model, file, quick_gelu=False, preprocess=mine).look == mine
        with pytest.raises(ParameterError, match="is no tag of"):
            found(model, file, quick_gelu=False, preprocess="nothing")


@needs_open_clip
class TestFolders:
    def test_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"holds no open_clip_config\.json"):
            load(tmp_path / "nowhere")
        with pytest.raises(StoreError, match="is no folder"):
            OpenClipEncoder(model=f"local-dir:{tmp_path}/nowhere").fingerprint()

    def test_a_config_that_is_none(self, folder: Path) -> None:
        for text in ("{", "[]", '{"model_cfg": {}}'):
            (folder / "open_clip_config.json").write_text(text, encoding="utf-8")
            with pytest.raises(StoreError, match=r"is no config|lacks embed_dim"):
                load(folder)

    def test_a_config_that_does_not_say_how_pictures_look(self, folder: Path) -> None:
        config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
        del config["preprocess_cfg"]["mean"]
        (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
        with pytest.raises(ParameterError, match=r"its config does not say.*preprocess="):
            load(folder)
        load(folder, preprocess={"mean": 0.5, "std": 0.5})

    def test_no_weights_and_too_many(self, folder: Path) -> None:
        (folder / WEIGHTS).rename(folder / "a.safetensors")
        load(folder)
        shutil.copy(folder / "a.safetensors", folder / "b.safetensors")
        with pytest.raises(StoreError, match=r"holds a.safetensors, b.safetensors; it needs one"):
            load(folder)
        for name in ("a", "b"):
            (folder / f"{name}.safetensors").unlink()
        with pytest.raises(StoreError, match="holds no weights"):
            load(folder)

    def test_missing_and_unknown_weights_are_listed(self, folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        weights["visual.prj"] = weights.pop("visual.proj")
        save_file(weights, folder / WEIGHTS)
        with pytest.raises(StoreError, match=r"missing visual\.proj; not known visual\.prj"):
            load(folder)

    def test_weights_of_another_size(self, folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        weights["visual.proj"] = torch.zeros(32, 25)
        save_file(weights, folder / WEIGHTS)
        with pytest.raises(StoreError, match=r"another architecture.*visual\.proj"):
            load(folder)

    def test_a_truncated_file(self, folder: Path) -> None:
        whole = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(StoreError, match="no state dict that can be read safely"):
            load(folder)

    def test_a_pickle_is_not_run(self, folder: Path, tmp_path: Path) -> None:
        witness = tmp_path / "witness"

        class Evil:
            def __reduce__(self) -> tuple[Any, ...]:
                return (exec, (f"open({str(witness)!r}, 'w')",))

        (folder / WEIGHTS).unlink()
        (folder / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps({"a": Evil()}))
        with pytest.raises(StoreError, match="no state dict that can be read safely"):
            load(folder)
        assert not witness.exists()

    def test_a_folder_brings_its_own_weights(self, folder: Path) -> None:
        with pytest.raises(ParameterError, match="leave pretrained out"):
            load(folder, pretrained="openai")

    def test_its_config_knows_the_activation(self, folder: Path) -> None:
        load(folder, quick_gelu=True)
        with pytest.raises(ParameterError, match="says quick_gelu=True"):
            load(folder, quick_gelu=False)

    def test_a_device_that_is_not_there(self, folder: Path) -> None:
        with pytest.raises(ParameterError, match=r"device 'nonsense'.*device='cpu'"):
            load(folder, device="nonsense")

    def test_an_item_without_a_picture(self, folder: Path) -> None:
        with pytest.raises(cr.errors.InputError, match="the item 'x' has no image"):
            OpenClipEncoder(model=f"local-dir:{folder}").encode_batch(
                [cr.Item("x", text="a")], "image", ("size",)
            )

    def test_nothing_is_logged_by_the_root(
        self, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        load(folder)
        assert not [record for record in caplog.records if record.name == "root"]


@needs_open_clip
class TestActivations:
    def test_both_activations_load_and_differ(self, folder: Path, pictures: list[cr.Item]) -> None:
        """Why it must be said: the wrong one raises nothing."""
        right = OpenClipEncoder(model=f"local-dir:{folder}")
        first: Any = right.encode_batch(pictures, "image", ("embedding",))
        config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
        config["model_cfg"]["quick_gelu"] = False
        (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
        wrong = OpenClipEncoder(model=f"local-dir:{folder}")
        second: Any = wrong.encode_batch(pictures, "image", ("embedding",))
        assert np.abs(first["embedding"] - second["embedding"]).max() > 1e-3

    def test_released_files_load_under_a_prefix_and_a_key(
        self, folder: Path, pictures: list[cr.Item]
    ) -> None:
        """As RS5M's and others' training scripts save them."""
        expected: Any = OpenClipEncoder(model=f"local-dir:{folder}").encode_batch(
            pictures, "image", ("embedding",)
        )
        weights = {f"module.{name}": each for name, each in load_file(folder / WEIGHTS).items()}
        (folder / WEIGHTS).unlink()
        torch.save({"state_dict": weights, "epoch": 3}, folder / "RS5M_ViT-B-32.pt")
        again: Any = OpenClipEncoder(model=f"local-dir:{folder}").encode_batch(
            pictures, "image", ("embedding",)
        )
        np.testing.assert_array_equal(expected["embedding"], again["embedding"])


@needs_open_clip
class TestMerged:
    def test_merged_while_loading_and_in_the_file(
        self, checkpoint: Folder, tmp_path: Path, pictures: list[cr.Item]
    ) -> None:
        trained = checkpoint("fastvit")
        names = ("embedding", "tokens")
        name = f"local-dir:{trained}"
        plain: Any = OpenClipEncoder(model=name).encode_batch(pictures, "image", names)
        merging = OpenClipEncoder(model=name, reparameterize=True)
        merged: Any = merging.encode_batch(pictures, "image", names)
        model = merging._loaded().model
        assert any(".reparam_conv." in each for each in model.state_dict())
        np.testing.assert_allclose(merged["embedding"], plain["embedding"], atol=1e-5)
        np.testing.assert_allclose(merged["tokens"].flat, plain["tokens"].flat, atol=1e-4)

        written = Path(shutil.copytree(trained, tmp_path / "merged"))
        tiny_openclip.save(model, written / WEIGHTS)
        with pytest.raises(ParameterError, match="holds re-parameterised weights"):
            load(written)
        read = OpenClipEncoder(model=f"local-dir:{written}", reparameterize=True)
        again: Any = read.encode_batch(pictures, "image", names)
        np.testing.assert_array_equal(again["embedding"], merged["embedding"])

    def test_half_merged_weights(self, checkpoint: Folder, tmp_path: Path) -> None:
        written = Path(shutil.copytree(checkpoint("fastvit"), tmp_path / "half"))
        model = load(checkpoint("fastvit")).model
        fold(model.visual.trunk.stem)
        tiny_openclip.save(model, written / WEIGHTS)
        with pytest.raises(StoreError, match=r"missing .*reparam_conv.*not known .*bn"):
            load(written, reparameterize=True)

    def test_a_model_without_branches_is_left_alone(self, checkpoint: Folder) -> None:
        load(checkpoint("vit"), reparameterize=True)


def test_a_fingerprint_knows_the_content_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"1")

    def digest(where: Path, **params: Any) -> str:
        return OpenClipEncoder(model=f"local-dir:{where}", **params).fingerprint()

    first = digest(folder)
    copy = Path(shutil.copytree(folder, tmp_path / "b"))
    assert digest(copy) == digest(folder, device="cuda") == first
    assert digest(folder, dtype="float16") != first
    assert digest(folder, quick_gelu=True) != first
    (copy / "model.safetensors").write_bytes(b"2")
    assert digest(copy) != first
    one = OpenClipEncoder(model="ViT-B-32", pretrained=copy / "model.safetensors").fingerprint()
    assert one != OpenClipEncoder(model="ViT-B-32", pretrained="openai").fingerprint()
