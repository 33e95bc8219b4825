"""What VISTA consists of, and reading it from a folder of parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossrank.errors import CrossrankError, StoreError
from crossrank.plugin.hub import first_line
from crossrank.plugin.optional import required

PROJECTION = "visual_proj.safetensors"


@dataclass(frozen=True, slots=True)
class Parts:
    """A loaded model.

    Parameters
    ----------
    text
        A BERT or XLM-RoBERTa of transformers, in evaluation mode.
    tokenizer
        Its own; not thread-safe.
    patches
        From a picture's input ``[N, 3, h, w]`` to the states of its patches ``[N, m, V]``, without
        class token and before any last norm.
    projection
        From these to the word embeddings' width, ``Linear(V, H)``.
    prepare
        From a picture to its input ``[3, h, w]``.
    device, dtype
        Where and in which ``torch.dtype`` it computes.
    """

    text: Any
    tokenizer: Any
    patches: Callable[[Any], Any]
    projection: Any
    prepare: Callable[[Image.Image], NDArray[np.float32]]
    device: str
    dtype: Any


def package(name: str) -> Any:
    """Import torch or transformers, or say how to install them."""
    return required(name, "vista", "the encoder 'vista'")


def read_parts(folder: Path, device: str, dtype: Any) -> Parts:
    """Read ``text/``, ``image/`` and the projection between them.

    Raises
    ------
    StoreError
        If a part is missing or damaged, or they do not go together.
    """
    transformers = package("transformers")
    for part in ("text", "image"):
        if not (folder / part / "config.json").is_file():
            raise StoreError(
                f"vista: {folder} holds no {part}/config.json; give a folder with text/, image/ "
                f"and {PROJECTION}, or one of the released .pth files"
            )
    where = {"local_files_only": True, "trust_remote_code": False}
    old = int(transformers.__version__.partition(".")[0]) < 5
    try:
        text = transformers.AutoModel.from_pretrained(folder / "text", dtype=dtype, **where)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "text", **where)
        vision = _vision(transformers, folder / "image", dtype, where)
        processor = transformers.AutoImageProcessor.from_pretrained(
            folder / "image", **({"use_fast": False} if old else {"backend": "pil"}), **where
        )
        projection = _projection(folder / PROJECTION)
    except CrossrankError:
        raise
    except Exception as error:  # every file format brings exceptions of its own
        raise StoreError(
            f"vista: {folder} holds no complete checkpoint: {first_line(error)}"
        ) from error
    wide, high = vision.config.hidden_size, text.config.hidden_size
    if (projection.in_features, projection.out_features) != (wide, high):
        raise StoreError(
            f"vista: {PROJECTION} leads from {projection.in_features} to "
            f"{projection.out_features}, but image/ gives {wide} and text/ takes {high}"
        )
    vision = vision.to(device).eval()
    return Parts(
        text.to(device).eval(),
        tokenizer,
        lambda images: vision(images).last_hidden_state[:, 1:],
        projection.to(device, dtype),
        lambda picture: _input(processor, picture),
        device,
        dtype,
    )


def _vision(transformers: Any, folder: Path, dtype: Any, where: dict[str, Any]) -> Any:
    """Load a vision transformer with a class token; of a CLIP, its image tower."""
    config = transformers.AutoConfig.from_pretrained(folder, **where)
    clip = config.model_type in ("clip", "clip_vision_model")
    kind = transformers.CLIPVisionModel if clip else transformers.AutoModel
    return kind.from_pretrained(folder, dtype=dtype, **where)


def _projection(path: Path) -> Any:
    torch = package("torch")
    if not path.is_file():
        raise StoreError(f"vista: {path} is missing: weight and bias of the projection")
    weights = import_module("safetensors.torch").load_file(path)
    return linear(torch, weights)


def linear(torch: Any, weights: dict[str, Any]) -> Any:
    """Return a linear layer with these weights."""
    if set(weights) != {"weight", "bias"}:
        raise StoreError(f"vista: the projection has {sorted(weights)} instead of weight and bias")
    high, wide = weights["weight"].shape
    layer = torch.nn.Linear(wide, high)
    layer.load_state_dict(weights)
    return layer.requires_grad_(False)


def _input(processor: Any, picture: Image.Image) -> NDArray[np.float32]:
    made = processor(
        [np.asarray(picture)],
        # else a picture 3 pixels high could be taken for one of 3 channels
        input_data_format="channels_last",
        do_convert_rgb=False,
        return_tensors="np",
    )
    return np.asarray(made["pixel_values"][0], np.float32)
