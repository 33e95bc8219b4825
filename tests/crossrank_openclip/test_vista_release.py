"""A released checkpoint of VISTA: one file with EVA-CLIP's names, read into timm's tower."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import crossrank as cr
from crossrank.errors import StoreError
from crossrank_openclip.importing import timm
from crossrank_vista import released
from crossrank_vista.encoder import VistaEncoder
from toys import tiny_vista
from toys.tiny_openclip import needs_open_clip
from toys.tiny_tokenizers import transformers

pytestmark = needs_open_clip
WIDTH, SIZE, TOWER = 32, 32, "crossrank_tiny_eva"
OWN_NAMES = (
    ("attn.q_proj.bias", "attn.q_bias"),
    ("attn.v_proj.bias", "attn.v_bias"),
    ("attn.norm.", "attn.inner_attn_ln."),
    ("mlp.fc1_g.", "mlp.w1."),
    ("mlp.fc1_x.", "mlp.w2."),
    ("mlp.fc2.", "mlp.w3."),
    ("mlp.norm.", "mlp.ffn_ln."),
)
"""timm's names of EVA's weights, and EVA-CLIP's own."""


def crossrank_tiny_eva(pretrained: bool = False, **options: Any) -> Any:
    for name in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        options.pop(name, None)
    large = timm().create_model("eva02_base_patch16_clip_224", num_classes=0, **sizes())
    return large


def sizes() -> dict[str, int]:
    return {"img_size": SIZE, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a tiny release known, and return the folder of its text encoder."""
    timm()
    from timm.models import is_model, register_model

    if not is_model(TOWER):
        crossrank_tiny_eva.__module__ = "timm.models.eva"
        register_model(crossrank_tiny_eva)
    folder = tiny_vista.build("bert", tmp_path / "parts") / "text"
    tiny = released.Release(str(folder), TOWER, WIDTH, SIZE)
    monkeypatch.setattr(released, "RELEASES", {"Visualized_tiny": tiny})
    return folder


def weights(text: Path) -> tuple[dict[str, torch.Tensor], Any]:
    """Return a state dict as it is released, and the tower that it is of."""
    torch.manual_seed(3)
    tower = timm().create_model(TOWER).eval()
    with torch.no_grad():
        for each in tower.parameters():
            each.add_(torch.randn_like(each) * 0.2)
    state = {}
    for name, value in tower.state_dict().items():
        for theirs, own in OWN_NAMES:
            name = name.replace(theirs, own)
        state[f"model_visual.visual.{name}"] = value.clone()
    state["model_visual.visual.rope.freqs_cos"] = torch.zeros(16, 12)
    state["model_visual.visual.head.weight"] = torch.zeros(8, 24)
    encoder = transformers.AutoModel.from_pretrained(text)
    for name, value in encoder.state_dict().items():
        state[f"bge_{name}"] = value.clone()
    state["bge_embeddings.position_ids"] = torch.arange(tiny_vista.POSITIONS)[None]
    state["visual_proj.weight"] = torch.randn(WIDTH, 24) / 4
    state["visual_proj.bias"] = torch.randn(WIDTH)
    return state, tower


def picture() -> Image.Image:
    values = np.random.default_rng(2).integers(0, 256, (40, 56, 3), dtype=np.uint8)
    return Image.fromarray(values)


def test_a_release_is_the_naive_forward_pass_over_its_weights(text: Path, tmp_path: Path) -> None:
    state, tower = weights(text)
    path = tmp_path / "Visualized_tiny.pth"
    torch.save(state, path)
    encoder = VistaEncoder(model=path)
    items = {
        "image": cr.Item("0", image=picture()),
        "text": cr.Item("0", "a dog runs"),
        "image+text": cr.Item("0", "two cats", picture()),
    }
    for modality, item in items.items():
        found: Any = encoder.encode_batch([item], modality, ("embedding",))["embedding"]
        expected = tiny_vista.naive(
            encoder, item.text or "", None if modality == "text" else picture()
        )
        np.testing.assert_allclose(found[0], expected, atol=1e-5)
    parts = encoder._loaded()
    input = torch.from_numpy(parts.prepare(picture()))[None]
    with torch.no_grad():
        tokens = tower.forward_intermediates(
            input, indices=1, norm=False, output_fmt="NLC", intermediates_only=True
        )[-1]
        torch.testing.assert_close(parts.patches(input), tokens)
    for name, value in parts.text.state_dict().items():
        assert torch.equal(value, state[f"bge_{name}"])
    assert torch.equal(parts.projection.weight, state["visual_proj.weight"])


def test_what_is_no_release(text: Path, tmp_path: Path) -> None:
    state, _ = weights(text)
    path = tmp_path / "file.pth"

    def refused(says: str, content: Any) -> None:
        torch.save(content, path)
        with pytest.raises(StoreError, match=says):
            VistaEncoder(model=path).encode_batch([cr.Item("0", "a")], "text", ("embedding",))

    without = {name: value for name, value in state.items() if "layer.1.output.dense" not in name}
    refused(r"text encoder does not fit .* missing encoder\.layer\.1\.output\.dense", without)
    without = {name: value for name, value in state.items() if "blocks.1.mlp.w3" not in name}
    refused(r"image tower does not fit .* missing blocks\.1\.mlp\.fc2", without)
    refused("not known encoder.extra", {**state, "bge_encoder.extra": torch.zeros(1)})
    other = {**state, "bge_embeddings.word_embeddings.weight": torch.zeros(60, 48)}
    refused("is 48 wide, which is none of the releases", other)
    words = "bge_embeddings.word_embeddings.weight"
    for content in ({"a": torch.zeros(1)}, {words: torch.tensor(1.0)}, {words: torch.zeros(3)}):
        refused("no released checkpoint: it has no word embeddings", content)
    for name in (
        *("model_visual.visual.pos_embed", "model_visual.visual.patch_embed.proj.weight"),
        *("visual_proj.weight", "visual_proj.bias"),
    ):
        for shape in ((), (3,), (0, 6), (5, 3)):
            refused("has weights of other shapes: .", {**state, name: torch.ones(shape)})
    refused("no released checkpoint that can be read safely", {"a": Path("x")})  # runs no code
