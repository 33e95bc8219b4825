"""EfficientNet-Lite as a chain of convolutions, computed by onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from crossrank.plugin.optional import required
from crossrank_lite.onnx_model import Node, model_bytes

GIVEN = "picture"
"""What the model calls its input."""


@dataclass(frozen=True, slots=True)
class Step:
    """A convolution.

    Parameters
    ----------
    convolution
        Its batch norm folded in.
    clipped
        Whether a ReLU6 follows.
    skip
        Before how many steps the vectors were made that are added to its result; 0 for none.
    """

    convolution: nn.Conv2d
    clipped: bool = True
    skip: int = 0


def steps(net: Any) -> Iterator[Step]:
    """Yield the convolutions of an EfficientNet-Lite whose batch norms are folded, in order."""
    yield Step(net._conv_stem)
    for block in net._blocks:
        wide = hasattr(block, "_expand_conv")
        if wide:
            yield Step(block._expand_conv)
        yield Step(block._depthwise_conv)
        arguments = block._block_args
        same = arguments.input_filters == arguments.output_filters
        kept = block.id_skip and block._depthwise_conv.stride == (1, 1) and same
        yield Step(block._project_conv, False, (3 if wide else 2) if kept else 0)
    yield Step(net._conv_head)


def as_onnx(net: Any, side: int) -> bytes:
    """Return the net as a model of one picture ``[1, side, side, 3]``; it gives ``[1, C, H, W]``.

    Parameters
    ----------
    net
        See `steps`.
    side
        Height and width of a picture.
    """
    nodes = [Node("Transpose", (GIVEN,), ("x0",), {"perm": [0, 3, 1, 2]})]
    weights: dict[str, NDArray[np.float32]] = {
        "low": np.array(0, np.float32),
        "high": np.array(6, np.float32),
    }
    for number, step in enumerate(steps(net)):
        convolution, made = step.convolution, f"x{number + 1}"
        weights[f"w{number}"] = convolution.weight.numpy()
        bias = convolution.bias
        assert bias is not None  # folding gives each one
        weights[f"b{number}"] = bias.numpy()
        inputs = (f"x{number}", f"w{number}", f"b{number}")
        plain = made if not step.clipped and not step.skip else f"{made}-plain"
        nodes.append(Node("Conv", inputs, (plain,), _attributes(convolution)))
        # onnxruntime computes a convolution together with what follows it here
        if step.clipped:
            nodes.append(Node("Clip", (plain, "low", "high"), (made,)))
        elif step.skip:
            before = f"x{number + 1 - step.skip}"
            nodes.append(Node("Add", (plain, before), (made,)))
    return model_bytes(nodes, weights, (GIVEN, (1, side, side, 3)), made)


def session(model: bytes) -> Any:
    """Return what runs a model, in the thread that calls it.

    Threads of onnxruntime's own would spin while they wait; several of ours may call at once.
    """
    onnxruntime: Any = required("onnxruntime", "lite", "the lite encoder")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _attributes(convolution: nn.Conv2d) -> dict[str, int | list[int]]:
    # as TensorFlow pads: by an even size more on the right and at the bottom
    padding: Any = getattr(convolution.static_padding, "padding", (0, 0, 0, 0))
    left, right, top, bottom = padding
    return {
        "kernel_shape": list(convolution.kernel_size),
        "strides": list(convolution.stride),
        "pads": [top, left, bottom, right],
        "group": convolution.groups,
    }
