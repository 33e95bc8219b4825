r"""Structural re-parameterisation: parallel linear branches become one convolution.

While it is trained, a block of MobileOne or FastViT sums several k×k convolutions, a 1×1
convolution and the identity, each followed by batch normalisation.  At inference all of this is
linear, so with :math:`s = \sqrt{\sigma^2 + \epsilon}` each branch is a kernel and a bias

.. math:: W' = W\,\gamma / s, \qquad b' = \beta - \mu\,\gamma / s,

the identity being a kernel with a single 1 in its middle; kernels are padded to the largest and
added.  Everything is computed in float64 and rounded once.

References
----------
Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021; Vasu et al., "MobileOne",
CVPR 2023; Vasu et al., "FastViT", ICCV 2023; Vasu et al., "MobileCLIP", CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

Affine: TypeAlias = tuple[Tensor, Tensor]
"""A kernel ``[out, in / groups, k, k]`` and a bias ``[out]``, float64."""


def fold(module: nn.Module) -> int:
    """Merge the branches of every block of MobileOne and FastViT in a network, in place.

    Parameters
    ----------
    module
        A network in evaluation mode, or one of its blocks.

    Returns
    -------
    int
        How many blocks were merged; 0 where there is nothing to merge.
    """
    rule = RULES.get(f"{type(module).__module__}.{type(module).__name__}")
    if rule is None:
        return sum(fold(child) for child in list(module.children()))
    if getattr(module, "reparam_conv", None) is not None:
        return 0
    _replace(module, *rule(module))
    return 1


def is_folded(names: Iterable[str]) -> bool:
    """Tell whether these names of weights are those of a merged network."""
    return any(".reparam_conv." in f".{name}" for name in names)


def normalised(kernel: Tensor, norm: nn.BatchNorm2d) -> Affine:
    """Return a convolution without bias and the batch normalisation behind it as one."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("a batch normalisation without running statistics cannot be merged")
    scale = norm.weight.double() / torch.sqrt(variance.double() + norm.eps)
    return (
        kernel.double() * scale[:, None, None, None],
        norm.bias.double() - mean.double() * scale,
    )


def identity(channels: int, groups: int, size: int, like: Tensor) -> Tensor:
    """Return the kernel that leaves ``[N, channels, H, W]`` as it is."""
    per_group = channels // groups
    kernel = torch.zeros(channels, per_group, size, size, dtype=torch.float64, device=like.device)
    rows = torch.arange(channels)
    kernel[rows, rows % per_group, size // 2, size // 2] = 1
    return kernel


def total(branches: list[Affine]) -> Affine:
    """Add up branches whose kernels are of different, odd sizes."""
    size = max(kernel.shape[-1] for kernel, _ in branches)
    kernels, biases = [], []
    for kernel, bias in branches:
        border = (size - kernel.shape[-1]) // 2
        kernels.append(functional.pad(kernel, [border] * 4))
        biases.append(bias)
    return torch.stack(kernels).sum(0), torch.stack(biases).sum(0)


def _mobile_one(block: Any) -> Affine:
    branches = [normalised(each.conv.weight, each.bn) for each in block.conv_kxk or ()]
    if block.conv_scale is not None:
        branches.append(normalised(block.conv_scale.conv.weight, block.conv_scale.bn))
    if block.identity is not None:
        norm = block.identity
        kernel = identity(block.in_chs, block.groups, block.kernel_size, norm.weight)
        branches.append(normalised(kernel, norm))
    return total(branches)


def _large_kernel(block: Any) -> Affine:
    convolutions = [block.large_conv, getattr(block, "small_conv", None)]
    return total([normalised(each.conv.weight, each.bn) for each in convolutions if each])


def _mixer(block: Any) -> Affine:
    """Merge ``x + scale · (mixer(x) − norm(x))``."""
    (mixed, mixed_bias), (plain, plain_bias) = _mobile_one(block.mixer), _mobile_one(block.norm)
    gamma = getattr(block.layer_scale, "gamma", None)
    scale = torch.ones_like(mixed_bias) if gamma is None else gamma.double().reshape(-1)
    whole = identity(block.dim, block.dim, block.kernel_size, mixed)
    return (
        whole + scale[:, None, None, None] * (mixed - plain),
        scale * (mixed_bias - plain_bias),
    )


def _position(block: Any) -> Affine:
    """Merge ``x + convolution(x)``."""
    kernel = block.pos_enc.weight.double()
    whole = identity(block.dim, block.groups, kernel.shape[-1], kernel)
    return whole + kernel, block.pos_enc.bias.double()


RULES = {
    "timm.models.fastvit.MobileOneBlock": _mobile_one,
    "timm.models.fastvit.ReparamLargeKernelConv": _large_kernel,
    "timm.models.fastvit.RepMixer": _mixer,
    "timm.models.fastvit.RepConditionalPosEnc": _position,
}
"""How timm's blocks are merged; the names of their parts are those of the weights in files."""

BRANCHES = (
    *("conv_kxk", "conv_scale", "identity", "large_conv", "small_conv"),
    *("mixer", "norm", "layer_scale", "pos_enc"),
)


@torch.no_grad()
def _replace(block: Any, kernel: Tensor, bias: Tensor) -> None:
    weight = next(block.parameters())
    groups = getattr(block, "groups", None) or block.dim
    merged = nn.Conv2d(
        kernel.shape[1] * groups,
        kernel.shape[0],
        kernel.shape[-1],
        stride=getattr(block, "stride", 1),
        padding=kernel.shape[-1] // 2,
        groups=groups,
        device=weight.device,
        dtype=weight.dtype,
    )
    merged.load_state_dict({"weight": kernel, "bias": bias})
    merged.requires_grad_(weight.requires_grad)
    block.reparam_conv = merged.eval()
    for name in BRANCHES:
        if hasattr(block, name):
            delattr(block, name)
    if hasattr(block, "inference_mode"):
        block.inference_mode = True
