"""The other shapes of models: LAVIS, CoCa, and whatever a mapping of cross-attentions describes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import crossrank_qperturb as qperturb
from crossrank.errors import InputError
from crossrank_qperturb.models import patch_grid
from toys.qperturb import (
    HEAD_SIZE,
    HEADS,
    HIDDEN,
    lavis_model,
    pooler,
    run_lavis,
    run_transformers,
    transformers_model,
    vision_output,
)
from toys.rounding import assert_same_formula

BOXES = [[[0.1, 0.2, 0.6, 0.9]], [], [[0.0, 0.0, 0.5, 1.0], [0.2, 0.2, 0.4, 0.4]]]


def test_lavis_equals_transformers_without_and_with_the_perturbation() -> None:
    twin = transformers_model().double()
    model, image_embeds = lavis_model(twin).double(), vision_output().double()
    plain = run_lavis(model, image_embeds)
    assert_same_formula(plain, run_transformers(twin, image_embeds))
    found = qperturb.perturbation(model, image_embeds, BOXES)
    expected = qperturb.perturbation(twin, image_embeds, BOXES)
    for number, matrices in expected.matrices.items():
        assert torch.equal(found.matrices[number], matrices)
    with qperturb.perturbed(model, found), qperturb.perturbed(twin, expected):
        perturbed = run_lavis(model, image_embeds)
        assert_same_formula(perturbed, run_transformers(twin, image_embeds))
    assert (perturbed - plain).abs().max() > 0.05


@pytest.mark.parametrize("width", [24, HIDDEN], ids=["separate weights", "packed weights"])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("preserve_norm", [True, False])
def test_coca_equals_a_naive_pooler(width: int, batch_first: bool, preserve_norm: bool) -> None:
    model = pooler(width=width, batch_first=batch_first).double()
    generator = torch.Generator().manual_seed(0)
    image_embeds = torch.randn(3, 17, width, generator=generator).double()
    perturbation = qperturb.perturbation(
        model, image_embeds, BOXES, n_pc=3, preserve_norm=preserve_norm
    )
    with torch.no_grad():
        plain = model(image_embeds)
        with qperturb.perturbed(model, perturbation):
            found = model(image_embeds)
    matrices = perturbation.matrices[0].double().numpy()
    expected = naive_pooler(model, image_embeds, matrices, preserve_norm)
    assert_same_formula(found, expected)
    assert_same_formula(plain, naive_pooler(model, image_embeds, 0 * matrices, False))
    assert torch.equal(found[1], plain[1]) and (found - plain)[0].abs().max() > 0.05


def naive_pooler(model: Any, image_embeds: Tensor, matrices: Any, preserve_norm: bool) -> Any:
    """Pool in float64 loops over images, heads and queries."""
    with torch.no_grad():
        keys = model.ln_k(image_embeds).double().numpy()
        start = model.ln_q(model.query).double().numpy()
        attn = model.attn
        if attn.in_proj_weight is None:
            weights = [attn.q_proj_weight, attn.k_proj_weight, attn.v_proj_weight]
        else:
            weights = list(attn.in_proj_weight.chunk(3))
        w_q, w_k, w_v = (weight.double().numpy() for weight in weights)
        b_q, b_k, b_v = (bias.double().numpy() for bias in attn.in_proj_bias.chunk(3))
        out, bias = attn.out_proj.weight.double().numpy(), attn.out_proj.bias.double().numpy()
    pooled = []
    for image, m in zip(keys, matrices, strict=True):
        context = np.zeros((len(start), HIDDEN))
        for head in range(HEADS):
            part = slice(head * HEAD_SIZE, (head + 1) * HEAD_SIZE)
            k, v = image @ w_k[part].T + b_k[part], image @ w_v[part].T + b_v[part]
            for row, query in enumerate(start @ w_q[part].T + b_q[part]):
                moved = query + query @ m[head]
                if preserve_norm:
                    moved *= np.linalg.norm(query) / np.linalg.norm(moved)
                logits = k @ moved / np.sqrt(HEAD_SIZE)
                attention = np.exp(logits - logits.max())
                context[row, part] = attention / attention.sum() @ v
        pooled.append(context @ out.T + bias)
    return np.stack(pooled)


def test_coca_with_weights_returned_and_every_argument_by_name() -> None:
    model = pooler()
    image_embeds = vision_output()
    perturbation = qperturb.perturbation(model, image_embeds, BOXES, n_pc=3)
    keys = model.ln_k(image_embeds)
    queries = model.ln_q(model.query).expand(3, -1, -1)
    padding = torch.zeros(3, 17, dtype=torch.bool)
    padding[:, 15:] = True
    options = {"key_padding_mask": padding, "average_attn_weights": False}
    with torch.no_grad():
        plain, before = model.attn(query=queries, key=keys, value=keys, **options)
        with qperturb.perturbed(model, perturbation):
            found, after = model.attn(query=queries, key=keys, value=keys, **options)
            again, none = model.attn(queries, keys, keys, padding, need_weights=False)
    assert none is None
    torch.testing.assert_close(found, again)
    assert after.shape == (3, HEADS, 5, 17) and not after[..., 15:].any()
    torch.testing.assert_close(after.sum(-1), torch.ones(3, HEADS, 5))
    assert torch.equal(after[1], before[1]) and torch.equal(found[1], plain[1])
    assert not torch.allclose(after[0], before[0], atol=1e-3)


def coca(pool_type: str) -> Any:
    """Return what of an open_clip CoCa there is to find."""
    visual: Any = nn.Module()
    visual.attn_pool, visual.attn_pool_contrastive = pooler(0), pooler(1, queries=1)
    visual.attn_pool_type = pool_type
    visual.image_size, visual.patch_size = (32, 32), (8, 8)
    model: Any = nn.Module()
    model.visual = visual
    return model


@pytest.mark.parametrize(("pool_type", "count"), [("", 1), ("cascade", 1), ("parallel", 2)])
def test_coca_models_have_the_poolers_that_see_patches(pool_type: str, count: int) -> None:
    model = coca(pool_type)
    found = qperturb.cross_attentions(model)
    assert sorted(found) == list(range(count))
    assert found[0].module is model.visual.attn_pool.attn
    assert len(qperturb.cross_attentions(model.visual)) == count
    perturbation = qperturb.perturbation(model, vision_output(), BOXES)
    with qperturb.perturbed(model, perturbation), torch.no_grad():
        found_now = model.visual.attn_pool(vision_output())
    assert torch.equal(found_now[1], model.visual.attn_pool(vision_output())[1])


def test_any_model_can_bring_its_cross_attentions() -> None:
    class Doubling(qperturb.CrossAttention):
        """Keys are twice the vision output; the queries are a linear layer's output."""

        def __init__(self, linear: nn.Linear) -> None:
            self.module, self.heads, self.head_size, self.width = linear, 2, 4, 8

        def keys(self, image_embeds: Tensor) -> Tensor:
            return self.split(2 * image_embeds)

        def intervene(self, change: Any) -> Any:
            return self.module.register_forward_hook(
                lambda module, args, output: self.merge(change(self.split(output)))
            )

    linear = nn.Linear(8, 8)
    layers = {7: Doubling(linear)}
    image_embeds = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
    boxes = [[[0.0, 0.0, 0.5, 0.5]], []]
    perturbation = qperturb.perturbation(layers, image_embeds, boxes, alpha=1.0)
    queries = torch.randn(2, 3, 8)
    with torch.no_grad():
        plain = linear(queries)
        with qperturb.perturbed(layers, perturbation):
            found = linear(queries)
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        direction = image_embeds[0, 0, part] / image_embeds[0, 0, part].norm()
        expected = plain[0, :, part] + (plain[0, :, part] @ direction)[:, None] * direction
        torch.testing.assert_close(found[0, :, part], expected)
    assert torch.equal(found[1], plain[1])


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(InputError, match=r"no cross-attention in a Linear.*LAVIS.*open_clip"):
        qperturb.cross_attentions(nn.Linear(2, 2))
    with pytest.raises(InputError, match="is empty"):
        qperturb.cross_attentions({})
    bare: Any = SimpleNamespace(Qformer=SimpleNamespace(bert=SimpleNamespace(encoder=None)))
    with pytest.raises(InputError, match="no cross-attention in a SimpleNamespace"):
        qperturb.cross_attentions(bare)
    inner = SimpleNamespace(query=nn.Linear(2, 2), key=nn.Linear(2, 2), num_attention_heads=1)
    layer = SimpleNamespace(crossattention=SimpleNamespace(self=inner))
    bare.Qformer.bert.encoder = SimpleNamespace(layer=[layer])
    with pytest.raises(
        InputError, match=r"Qformer.bert.encoder.layer\[0\] has no 'attention_head_size'"
    ):
        qperturb.cross_attentions(bare)
    bare.Qformer.bert.encoder.layer = [SimpleNamespace()]
    with pytest.raises(InputError, match=r"no layer of .* has a crossattention"):
        qperturb.cross_attentions(bare)


def test_a_rim_that_no_patch_covers_is_known_from_the_model() -> None:
    model = coca("")
    assert patch_grid(model, 17).covered == (1.0, 1.0)
    model.visual.image_size, model.visual.patch_size = (34, 36), (8, 9)
    assert patch_grid(model, 17).covered == (1.0, 32 / 34)
    model.visual.image_size = (100, 100)
    assert patch_grid(model, 17).covered == (1.0, 1.0), "another size than the config's"
    lavis = SimpleNamespace(
        visual_encoder=SimpleNamespace(
            patch_embed=SimpleNamespace(img_size=(30, 30), patch_size=(7, 7))
        )
    )
    assert patch_grid(lavis, 17).covered == (28 / 30, 28 / 30)
    assert patch_grid(transformers_model(), 17).covered == (1.0, 1.0)


def test_a_model_tells_of_a_grid_that_is_no_square() -> None:
    model = coca("")
    model.visual.image_size, model.visual.patch_size = (16, 60), (8, 10)
    for tokens in (12, 13):
        grid = patch_grid(model, tokens)
        assert (grid.rows, grid.columns) == (2, 6)
    assert patch_grid(model, 17).rows == 4, "another size than the config's"


def test_compiled_models_are_refused_because_they_would_ignore_the_perturbation() -> None:
    compiled: Any = torch.compile(transformers_model(), backend="eager")
    within: Any = transformers_model()
    within.qformer = torch.compile(within.qformer, backend="eager")
    itself: Any = transformers_model()
    itself.compile(backend="eager")
    for model in (compiled, within, itself):
        with pytest.raises(InputError, match="compiled by torch"):
            qperturb.perturbation(model, vision_output(), BOXES)
