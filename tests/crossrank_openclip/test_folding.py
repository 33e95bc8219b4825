"""Merged branches give what they gave apart, over random statistics; the oracle is an impulse."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from toys import tiny_openclip
from toys.tiny_openclip import needs_open_clip

pytestmark = needs_open_clip


def blocks() -> dict[str, Any]:
    from crossrank_openclip import open_clip

    open_clip()
    from timm.models import fastvit as parts

    return {
        "k×k + 1×1 + identity": parts.MobileOneBlock(6, 6, 3, group_size=1),
        "three k×k branches": parts.MobileOneBlock(6, 6, 5, num_conv_branches=3),
        "stride 2": parts.MobileOneBlock(6, 12, 3, stride=2, group_size=3),
        "no 1×1 branch": parts.MobileOneBlock(6, 6, 3, use_scale_branch=False),
        "1×1 only": parts.MobileOneBlock(4, 8, 1),
        "squeeze and excite": parts.MobileOneBlock(8, 8, 3, use_se=True),
        "identity alone": parts.MobileOneBlock(
            6, 6, 3, group_size=1, use_act=False, use_scale_branch=False, num_conv_branches=0
        ),
        "large and small": parts.ReparamLargeKernelConv(6, 12, 7, 2, 1, small_kernel=3),
        "mixer": parts.RepMixer(6),
        "mixer without scale": parts.RepMixer(6, layer_scale_init_value=None),
        "position": parts.RepConditionalPosEnc(6, 6, (7, 7)),
    }


NAMES = (
    *("k×k + 1×1 + identity", "three k×k branches", "stride 2", "no 1×1 branch", "1×1 only"),
    *("squeeze and excite", "identity alone", "large and small", "mixer", "mixer without scale"),
    "position",
)


def norms(module: torch.nn.Module) -> int:
    return sum(isinstance(each, torch.nn.BatchNorm2d) for each in module.modules())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_merged_block_does_the_same(name: str, seed: int) -> None:
    from crossrank_openclip import fold

    block = blocks()[name].double().eval()
    tiny_openclip.randomise(block, seed)
    images = torch.randn(2, 8 if "squeeze" in name else 4 if "1×1 only" in name else 6, 13, 10)
    with torch.no_grad():
        before = block(images.double())
        assert fold(block) == 1
        after = block(images.double())
    assert norms(block) == 0
    assert float(before.std()) > 0.01
    np.testing.assert_allclose(after.numpy(), before.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in NAMES if "squeeze" not in name])
def test_the_kernel_is_the_answer_to_an_impulse(name: str) -> None:
    """A linear block's kernel can be read off its answers to single pixels."""
    from crossrank_openclip import fold

    block = blocks()[name].double().eval()
    tiny_openclip.randomise(block, 3)
    if hasattr(block, "act"):
        block.act = torch.nn.Identity()
    merged = copy.deepcopy(block)
    fold(merged)
    kernel, bias = merged.reparam_conv.weight, merged.reparam_conv.bias
    size, groups = kernel.shape[-1], merged.reparam_conv.groups
    channels, side = kernel.shape[1] * groups, 4 * size + 1
    with torch.no_grad():
        silence = block(torch.zeros(1, channels, side, side, dtype=torch.float64))[0]
        middle = silence.shape[-1] // 2
        np.testing.assert_allclose(silence[:, middle, middle], bias.detach(), atol=1e-12)
        centre = side // 2 // 2 * 2  # a multiple of every stride
        impulse = torch.zeros(1, channels, side, side, dtype=torch.float64)
        impulse[0, 1, centre, centre] = 1
        answer = block(impulse)[0] - silence
    stride = merged.reparam_conv.stride[0]
    at, reach = centre // stride, size // 2
    outputs = kernel.shape[0] // groups
    group = 1 // kernel.shape[1]
    own = kernel[group * outputs : (group + 1) * outputs, 1 % kernel.shape[1]]
    for down in range(-(reach // stride), reach // stride + 1):
        for right in range(-(reach // stride), reach // stride + 1):
            expected = own[:, reach - down * stride, reach - right * stride]
            found = answer[group * outputs : (group + 1) * outputs, at + down, at + right]
            np.testing.assert_allclose(found, expected.detach(), atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_a_merged_network_gives_the_same_embedding(seed: int) -> None:
    from crossrank_openclip import fold, open_clip

    open_clip()
    tiny_openclip.register()
    from timm import create_model

    network = create_model("crossrank_tiny_fastvit", num_classes=24).eval()
    tiny_openclip.randomise(network, seed)
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        before = network(images)
        count = fold(network)
        after = network(images)
        assert fold(network) == 0, "nothing is merged twice"
    assert count > 10
    relative = (after - before).norm() / before.norm()
    assert float(relative) < 1e-5
    left = {
        name for name, each in network.named_modules() if isinstance(each, torch.nn.BatchNorm2d)
    }
    assert all(".mlp.conv.bn" in name or ".norm" in name for name in left), left


def test_a_network_without_such_blocks_is_left_as_it_is() -> None:
    from crossrank_openclip import fold

    assert fold(torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3), torch.nn.BatchNorm2d(3))) == 0


def test_the_layout_is_timms(tmp_path: Any) -> None:
    """Weights merged by timm load into a network merged here."""
    from crossrank_openclip import fold, open_clip

    open_clip()
    tiny_openclip.register()
    from timm import create_model
    from timm.utils import reparameterize_model

    network = create_model("crossrank_tiny_fastvit", num_classes=24).eval()
    tiny_openclip.randomise(network, 0)
    theirs = reparameterize_model(network)
    fold(network)
    expected = theirs.state_dict()
    assert set(network.state_dict()) == {
        name for name in expected if not name.endswith("id_tensor")
    }
    for name, value in network.state_dict().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5)
