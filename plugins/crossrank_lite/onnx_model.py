"""A network written down as ONNX, the little of it that a chain of convolutions needs.

Protocol buffers by hand: the package ``onnx`` would be one more to install, and slow to import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

IR_VERSION, OPSET = 8, 13
"""Of 2021: what every onnxruntime since 1.10 reads."""
FLOAT = 1
"""What ONNX calls a tensor of float32."""
INT, INTS = 2, 7
"""What it calls attributes of these types."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Parameters
    ----------
    kind
        Its name in ONNX, such as ``"Conv"``.
    inputs, outputs
        Names of values.
    attributes
        Integers, or lists of them.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, int | Sequence[int]] = field(default_factory=dict)


def model_bytes(
    nodes: Sequence[Node],
    weights: Mapping[str, NDArray[np.float32]],
    given: tuple[str, Sequence[int]],
    wanted: str,
) -> bytes:
    """Return a model of float32 values.

    Parameters
    ----------
    nodes
        In an order in which they can be computed.
    weights
        Per name an array that inputs of nodes refer to.
    given
        Name and shape of the one input.
    wanted
        The name of the one output.
    """
    graph = b"".join(_message(1, _node(node)) for node in nodes)
    graph += _text(2, "crossrank")
    graph += b"".join(_message(5, _tensor(name, value)) for name, value in weights.items())
    graph += _message(11, _value(*given)) + _message(12, _text(1, wanted))
    opset = _text(1, "") + _number(2, OPSET)
    return _number(1, IR_VERSION) + _message(7, graph) + _message(8, opset)


def _node(node: Node) -> bytes:
    made = b"".join(_text(1, name) for name in node.inputs)
    made += b"".join(_text(2, name) for name in node.outputs)
    made += _text(4, node.kind)
    for name, value in node.attributes.items():
        if isinstance(value, int):
            made += _message(5, _text(1, name) + _number(3, value) + _number(20, INT))
        else:
            numbers = b"".join(_number(8, each) for each in value)
            made += _message(5, _text(1, name) + numbers + _number(20, INTS))
    return made


def _tensor(name: str, value: NDArray[np.float32]) -> bytes:
    dims = b"".join(_number(1, size) for size in value.shape)
    content = np.ascontiguousarray(value, "<f4").tobytes()
    return dims + _number(2, FLOAT) + _text(8, name) + _message(9, content)


def _value(name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(_message(1, _number(1, size)) for size in shape)
    tensor = _number(1, FLOAT) + _message(2, dims)
    return _text(1, name) + _message(2, _message(1, tensor))


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _number(field: int, value: int) -> bytes:
    """Return a field that holds a number, not negative."""
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    """Return a field that holds bytes, text or another message."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())
