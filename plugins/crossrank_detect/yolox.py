"""YOLOX from an ONNX file: letter-boxing, decoding, suppression (Ge et al., 2021)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crossrank.errors import InputError
from crossrank.plugin.optional import required
from crossrank_detect.coco import COCO_CLASSES
from crossrank_detect.detections import Detections, Floats, best_detections, suppress

STRIDES = (8, 16, 32)
GREY = 114


class Yolox:
    """A YOLOX network whose output is not decoded yet.

    Parameters
    ----------
    path
        The file: one input ``[1, 3, H, W]`` of BGR values in 0..255, one output ``[1, A, 5 + C]``
        (box, objectness, classes) over the cells of strides 8, 16 and 32.
    threshold, overlap, most
        See `DetectParameters`.
    threads
        For onnxruntime.

    Raises
    ------
    MissingPackageError
        Without onnxruntime.
    InputError
        If the file is no such network.
    """

    def __init__(
        self, path: Path, threshold: float, overlap: float, most: int, threads: int = 1
    ) -> None:
        onnxruntime = required("onnxruntime", "detect", "an ONNX detector")
        if not path.is_file():
            raise InputError(f"detect: {path} is not a file; check the path of the model")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own types derive from nothing else
            raise InputError(f"detect: {path} is not an ONNX network: {error}") from error
        entry = self._session.get_inputs()[0]
        shape = entry.shape
        if len(shape) != 4 or shape[1] != 3 or not all(isinstance(n, int) for n in shape[2:]):
            raise InputError(f"detect: {path} takes {shape}, not a picture of [1, 3, H, W]")
        self._name, self._height, self._width = entry.name, shape[2], shape[3]
        self._path = path
        self._threshold, self._overlap, self._most = threshold, overlap, most

    def detect(self, picture: Image.Image) -> Detections:
        """Return what is in an RGB picture."""
        pixels, ratio = letterbox(picture, self._width, self._height)
        output = self._session.run(None, {self._name: pixels})[0]
        cells = sum((self._height // s) * (self._width // s) for s in STRIDES)
        if output.ndim != 3 or output.shape[1] != cells or output.shape[2] < 6:
            raise InputError(
                f"detect: {self._path} gives {output.shape}, not the [1, {cells}, 5 + classes] of "
                "a YOLOX network"
            )
        boxes, scores, classes = decode(output[0], self._width, self._height)
        kept = np.flatnonzero(scores > self._threshold)
        boxes, scores, classes = boxes[kept], scores[kept], classes[kept]
        rows = suppress(boxes, scores, classes, self._overlap)
        size = np.array(picture.size * 2, np.float32) * ratio
        names = dict(enumerate(COCO_CLASSES)) if output.shape[2] == 85 else {}
        return best_detections(boxes[rows] / size, scores[rows], classes[rows], names, self._most)


def letterbox(picture: Image.Image, width: int, height: int) -> tuple[Floats, float]:
    """Return ``[1, 3, height, width]`` BGR 0..255, the picture at the top left, and its scale."""
    ratio = min(width / picture.width, height / picture.height)
    size = (max(1, int(picture.width * ratio)), max(1, int(picture.height * ratio)))
    resized = np.asarray(picture.resize(size, Image.Resampling.BILINEAR), np.float32)
    canvas = np.full((height, width, 3), GREY, np.float32)
    canvas[: size[1], : size[0]] = resized
    return np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1)[None]), ratio


def decode(output: Floats, width: int, height: int) -> tuple[Floats, Floats, Any]:
    """Return boxes ``[A, 4]`` in input pixels, scores ``[A]`` and classes ``[A]``.

    ``xy = (xy + cell) · stride``, ``wh = exp(wh) · stride``, the score is objectness times the
    best class.

    Parameters
    ----------
    output
        ``[A, 5 + C]``.
    width, height
        Of the network's input.
    """
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    stride_of = np.concatenate(strides).astype(np.float32)
    centres = (output[:, :2] + np.concatenate(cells)) * stride_of
    halves = np.exp(output[:, 2:4]) * stride_of / 2
    classes = output[:, 5:].argmax(axis=1)
    scores = output[:, 4] * output[np.arange(len(output)), 5 + classes]
    boxes = np.concatenate([centres - halves, centres + halves], axis=1)
    return boxes.astype(np.float32), scores.astype(np.float32), classes.astype(np.int64)
