"""A CLIP in OpenAI's layout, converted, computes what it did; the oracle reads the original."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

import crossrank as cr
from crossrank.cli import main
from crossrank.errors import ParameterError, StoreError
from crossrank_clip.encoder import ClipEncoder
from crossrank_clip.state_dict import NEEDED, convert
from toys.tiny_openai_clip import GRID, HEADS, PATCH, WIDTH, save_tokenizer, written


def run(weights: Any, tower: str, rows: Any, quick: bool, causal: bool) -> Any:
    """Run one of OpenAI's transformers on ``[L, W]``, float64, head by head."""
    for layer in range(2):
        at = f"{tower}transformer.resblocks.{layer}."
        seen = norm(rows, weights, f"{at}ln_1")
        joint = seen @ weights[f"{at}attn.in_proj_weight"].T + weights[f"{at}attn.in_proj_bias"]
        query, key, value = np.split(joint, 3, axis=1)
        size, mixed = WIDTH // HEADS, np.zeros_like(rows)
        for head in range(HEADS):
            own = slice(head * size, head * size + size)
            logits = query[:, own] @ key[:, own].T / size**0.5
            if causal:
                logits = np.where(np.tri(len(rows), dtype=bool), logits, -np.inf)
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            mixed[:, own] = shares / shares.sum(axis=1, keepdims=True) @ value[:, own]
        rows = rows + mixed @ weights[f"{at}attn.out_proj.weight"].T
        rows = rows + weights[f"{at}attn.out_proj.bias"]
        inner = norm(rows, weights, f"{at}ln_2") @ weights[f"{at}mlp.c_fc.weight"].T
        inner = inner + weights[f"{at}mlp.c_fc.bias"]
        if quick:
            active = inner / (1 + np.exp(-1.702 * inner))
        else:
            active = torch.nn.functional.gelu(torch.from_numpy(inner)).numpy()
        rows = rows + active @ weights[f"{at}mlp.c_proj.weight"].T
        rows = rows + weights[f"{at}mlp.c_proj.bias"]
    return rows


def norm(rows: Any, weights: Any, name: str) -> Any:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def picture_oracle(weights: Any, input: NDArray[np.float64], quick: bool) -> Any:
    cells = input.reshape(3, GRID, PATCH, GRID, PATCH).transpose(1, 3, 0, 2, 4)
    kernel = weights["visual.conv1.weight"].reshape(WIDTH, -1)
    rows = np.vstack([weights["visual.class_embedding"], cells.reshape(GRID * GRID, -1) @ kernel.T])
    rows = norm(rows + weights["visual.positional_embedding"], weights, "visual.ln_pre")
    rows = run(weights, "visual.", rows, quick, causal=False)
    summary = norm(rows[0], weights, "visual.ln_post") @ weights["visual.proj"]
    return summary / np.linalg.norm(summary)


def text_oracle(weights: Any, ids: list[int], quick: bool) -> Any:
    rows = weights["token_embedding.weight"][ids] + weights["positional_embedding"][: len(ids)]
    rows = norm(run(weights, "", rows, quick, causal=True), weights, "ln_final")
    summary = rows[int(np.argmax(ids))] @ weights["text_projection"]
    return summary / np.linalg.norm(summary)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return save_tokenizer(tmp_path / "tokenizer")


@pytest.mark.parametrize("quick", [True, False])
def test_the_converted_model_computes_the_same(
    quick: bool, tokenizer: Path, tmp_path: Path
) -> None:
    weights = written(tokenizer, tmp_path / "RS5M.pt")
    command = ["convert", "clip-state-dict", str(tmp_path / "RS5M.pt"), "-o", str(tmp_path / "c")]
    options = ["--vision-heads", str(HEADS), "--text-heads", str(HEADS)]
    activation = "quick-gelu" if quick else "gelu"
    options += ["--activation", activation, "--tokenizer", str(tokenizer)]
    done = CliRunner().invoke(main, [*command, *options])
    assert done.exit_code == 0, done.output
    encoder = ClipEncoder(model=tmp_path / "c")
    exact = {name: value.double().numpy() for name, value in weights.items()}

    rng = np.random.default_rng(2)
    shown = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    found: Any = encoder.encode_batch([cr.Item("0", image=shown)], "image", ("embedding",))
    mean, std = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
    input = ((np.asarray(shown) / 255 - mean) / std).transpose(2, 0, 1)
    np.testing.assert_allclose(
        found["embedding"][0], picture_oracle(exact, input, quick), atol=2e-5
    )

    text = "a dog runs on the grass"
    found = encoder.encode_batch([cr.Item("0", text)], "text", ("embedding",))
    ids = encoder._loaded().tokenizer(text)["input_ids"]
    np.testing.assert_allclose(found["embedding"][0], text_oracle(exact, ids, quick), atol=2e-5)
    other = text_oracle(exact, ids, not quick)
    assert np.abs(found["embedding"][0] - other).max() > 1e-3, "the activations tell apart"


def test_the_activation_has_to_be_said(tmp_path: Path) -> None:
    command = ["convert", "clip-state-dict", "x.pt", "-o", str(tmp_path / "c")]
    failed = CliRunner().invoke(main, command)
    assert failed.exit_code == 2
    assert "--activation" in failed.stderr


def test_wrappings_of_released_files(tokenizer: Path, tmp_path: Path) -> None:
    weights = written(tokenizer, tmp_path / "plain.pt")
    wrapped = {f"module.{name}": value for name, value in weights.items()}
    extra = {"module.input_resolution": torch.tensor(32)}
    torch.save({"state_dict": wrapped | extra, "epoch": 3}, tmp_path / "wrapped.pt")
    sizes = {"vision_heads": HEADS, "text_heads": HEADS, "tokenizer": str(tokenizer)}
    made = []
    for name in ("plain", "wrapped"):
        convert(tmp_path / f"{name}.pt", tmp_path / name, quick_gelu=True, **sizes)  # type: ignore[arg-type]
        made.append(ClipEncoder(model=tmp_path / name).fingerprint())
    assert made[0] == made[1]


def test_what_is_no_such_file(tokenizer: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "w.pt", tmp_path / "out"
    sizes: dict[str, Any] = {"vision_heads": HEADS, "text_heads": HEADS}

    def refused(says: str, error: type[Exception] = StoreError, **options: Any) -> None:
        with pytest.raises(error, match=says):
            convert(path, out, quick_gelu=True, tokenizer=str(tokenizer), **{**sizes, **options})
        assert not out.exists()

    refused("can be read safely")
    weights = written(tokenizer, path)
    refused("32 wide has is not known; give vision_heads", ParameterError, vision_heads=None)
    for name in NEEDED:
        torch.save({key: each for key, each in weights.items() if key != name}, path)
        refused(f"no state dict of a CLIP in OpenAI's layout: it lacks {re.escape(name)}$")
    for name in (name for name in weights if ".1." not in name):
        for shape in ((), (3,), (0, 6), (2, 2, 2, 2, 2)):
            if shape != weights[name].shape:
                torch.save({**weights, name: torch.ones(shape)}, path)
                refused(r"another architecture: .|does not fit|left over")
    torch.save({**weights, "visual.ln_extra.weight": torch.ones(3)}, path)
    refused(r"left over visual\.ln_extra\.weight")
    del weights["ln_final.bias"]
    torch.save(weights, path)
    refused(r"missing text_model\.final_layer_norm\.bias")
    del weights["visual.proj"]
    torch.save(weights, path)
    refused("it lacks visual.proj")

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return exec, (f"open({str(tmp_path / 'witness')!r}, 'w')",)

    path.write_bytes(pickle.dumps({"a": Evil()}))
    refused("can be read safely")
    assert not (tmp_path / "witness").exists()
