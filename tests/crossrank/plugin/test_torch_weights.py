"""Weights that are saved and loaded as one pair; every fault is one `StoreError`."""

import json
import os
import pickle
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from crossrank.errors import ParameterError, StoreError  # noqa: E402
from crossrank.plugin.torch_weights import (  # noqa: E402
    WeightsFile,
    read_state_dict,
    read_tensors,
    write_tensors,
)

FILE = WeightsFile("mine", "mine-heads/1", "heads of mine", "train some with train_mine.py")


@dataclass(frozen=True, slots=True)
class Sizes:
    inputs: int = 3
    outputs: int = 2


class Heads(torch.nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.linear = torch.nn.Linear(sizes.inputs, sizes.outputs)
        self.register_buffer("steps", torch.tensor(7))


def build(sizes: Mapping[str, Any]) -> Heads:
    return Heads(Sizes(**sizes))


def saved(tmp_path: Path, **options: Any) -> tuple[Heads, Path]:
    heads, path = Heads(Sizes(4, 5)), tmp_path / "heads.safetensors"
    FILE.save(heads, heads.sizes, path, **options)
    return heads, path


def test_what_is_saved_comes_back_ready_for_use(tmp_path: Path) -> None:
    heads, path = saved(tmp_path)
    found = FILE.load(path, build)
    assert found.sizes == heads.sizes and not found.training
    for name, expected in heads.state_dict().items():
        assert torch.equal(found.state_dict()[name], expected)
    assert not any(each.requires_grad for each in found.parameters())
    assert [each.name for each in tmp_path.iterdir()] == ["heads.safetensors"]


def test_half_is_stored_as_half_and_read_as_float32(tmp_path: Path) -> None:
    heads, path = saved(tmp_path, half=True)
    _, tensors = read_tensors("mine", path, "")
    assert tensors["linear.weight"].dtype == torch.float16
    assert tensors["steps"].dtype == torch.int64
    found = FILE.load(path, build)
    assert torch.equal(found.linear.weight, heads.linear.weight.half().float())


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    heads, path = saved(tmp_path)
    before = path.read_bytes()
    FILE.save(heads, heads.sizes, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_others_may_read_it_as_the_umask_says(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        _, path = saved(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def foreign(path: Path, header: str | None, tensors: Any = None) -> None:
    content = {"linear.weight": torch.zeros(2, 3)} if tensors is None else tensors
    save_file(content, path, metadata=None if header is None else {FILE.format: header})


FITTING = {"linear.weight": 2, "linear.bias": 1, "steps": 0}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (None, "holds no heads of mine"),
        ("no json", "holds heads of mine that do not fit: Expecting value"),
        ("[1]", "holds heads of mine that do not fit"),
        ('{"inputs": "x"}', "holds heads of mine that do not fit"),
        ('{"layers": 3}', "holds heads of mine that do not fit: .*'layers'"),
        (
            json.dumps({"inputs": 3, "outputs": 2}),
            "holds heads of mine that do not fit: .*has the shape None",
        ),
        (
            json.dumps({"inputs": 9, "outputs": 2}),
            "holds heads of mine that do not fit: .*by its sizes",
        ),
    ],
)
def test_foreign_weights_are_one_error(tmp_path: Path, header: str | None, said: str) -> None:
    path = tmp_path / "foreign.safetensors"
    foreign(path, header)
    with pytest.raises(StoreError) as caught:
        FILE.load(path, build)
    message = str(caught.value)
    assert re.match(f"mine: {re.escape(str(path))} {said}", message)
    assert message.endswith("; train some with train_mine.py") and "\n" not in message
    assert message.count("mine: ") == 1


def test_missing_damaged_and_other_files_are_one_error(tmp_path: Path) -> None:
    _, path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    (tmp_path / "text").write_text("no weights")
    for each in (tmp_path / "none", path, tmp_path / "text", tmp_path):
        with pytest.raises(StoreError, match=r"^mine: .* cannot be read: .*; train some with"):
            FILE.load(each, build)


def test_what_building_complains_of_stays_as_it_is(tmp_path: Path) -> None:
    _, path = saved(tmp_path)

    def refuse(sizes: Mapping[str, Any]) -> Heads:
        raise ParameterError("mine: members is 9, but there are 3")

    with pytest.raises(ParameterError, match=r"^mine: members is 9, but there are 3$"):
        FILE.load(path, refuse)


def test_a_folder_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="could not be written"):
        write_tensors(tmp_path / "none" / "x.safetensors", {"a": torch.zeros(1)})


def test_sizes_that_the_file_does_not_have_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.safetensors"
    foreign(path, json.dumps({"inputs": 1 << 22, "outputs": 1 << 22}))  # 64 TB
    with pytest.raises(StoreError, match="by its sizes"):
        FILE.load(path, build)


@pytest.mark.parametrize(
    ("module", "loader", "file"),
    [
        ("crossrank_lite.heads", "load_heads", "HEADS"),
        ("crossrank_hosa.heads", "load_heads", "HEADS"),
        ("crossrank_lite_itm.network", "load_network", "WEIGHTS"),
        ("crossrank_cora.network", "load_network", "WEIGHTS"),
    ],
)
@pytest.mark.parametrize("header", [None, "no json", "[1]", '{"strange": 1}', "{}"])
def test_foreign_weights_are_one_error_of_every_plugin(
    tmp_path: Path, module: str, loader: str, file: str, header: str | None
) -> None:
    held = import_module(module)
    kind = getattr(held, file)
    path = tmp_path / "foreign.safetensors"
    content = {"linear.weight": torch.zeros(2, 3)}
    save_file(content, path, metadata=None if header is None else {kind.format: header})
    with pytest.raises(StoreError) as caught:
        getattr(held, loader)(path)
    message = str(caught.value)
    assert message.startswith(f"{kind.who}: {path} holds ") and "\n" not in message
    assert message.count(str(path)) == 1 and message.endswith(kind.mend)


def test_somebody_elses_weights(tmp_path: Path) -> None:
    weights = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
    wrapped = {f"module.{name}": value for name, value in weights.items()}
    held = {"plain.pt": weights, "trainer.pt": {"epoch": 3, "state_dict": {**wrapped, "n": 4}}}
    for name, content in held.items():
        torch.save(content, tmp_path / name)
    save_file(weights, tmp_path / "w.safetensors")
    for name in (*held, "w.safetensors"):
        found = read_state_dict("mine", tmp_path / name, "checkpoint")
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[key], value) for key, value in weights.items())


class Evil:
    """What opens a file when somebody unpickles it."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.witness), "w")


def test_what_is_nobodys_weights_is_one_error_and_runs_nothing(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    contents: dict[str, Any] = {
        "evil.pt": {"a": Evil(witness)},
        "list.pt": [torch.ones(1)],
        "none.pt": {"a": {"b": torch.ones(1)}},
        "number.pt": 3,
    }
    for name, content in contents.items():
        torch.save(content, tmp_path / name)
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Evil(witness)))
    (tmp_path / "text.pt").write_text("no weights\n")
    (tmp_path / "text.safetensors").write_text("no weights\n")
    (tmp_path / "empty.pt").touch()
    (tmp_path / "folder.pt").mkdir()
    os.mkfifo(tmp_path / "pipe.pt")
    names = [path.name for path in sorted(tmp_path.iterdir())]
    assert len(names) == 10
    for path in (*names, "missing.pt", "x" * 300, "a\0b"):
        with pytest.raises(StoreError) as caught:
            read_state_dict("mine", tmp_path / path, "checkpoint")
        said = str(caught.value)
        assert said.startswith("mine: ") and "is no checkpoint that can be read safely: " in said
        assert "\n" not in said and len(said) < 1000
    assert not witness.exists()
