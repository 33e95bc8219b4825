"""The two released checkpoints: one state dict with BGE, EVA-CLIP's image tower and the projection.

Their names of weights are those of the training code: ``bge_embeddings.``, ``bge_encoder.``,
``bge_pooler.``, ``model_visual.visual.``, ``visual_proj.``.  The image tower is timm's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from crossrank.errors import CrossrankError, PluginError, StoreError
from crossrank.plugin.hub import first_line
from crossrank.plugin.torch_weights import read_state_dict
from crossrank_openclip.importing import timm
from crossrank_openclip.preprocessing import Preprocessing
from crossrank_vista.parameters import VistaParameters
from crossrank_vista.parts import Parts, linear, package

HUB = "BAAI/bge-visualized"
OPENAI = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
BUFFERS = ("position_ids", "token_type_ids")
"""Counting tensors that some versions of transformers saved along."""


@dataclass(frozen=True, slots=True)
class Release:
    """One of the released checkpoints.

    Parameters
    ----------
    text
        The text encoder that it was made from.
    tower
        timm's name of its image tower.
    width
        Of its word embeddings, by which a file is recognised.
    size
        Of a picture's input, in pixels.
    """

    text: str
    tower: str
    width: int
    size: int = 224


RELEASES = {
    "Visualized_base_en_v1.5": Release("BAAI/bge-base-en-v1.5", "eva02_base_patch16_clip_224", 768),
    "Visualized_m3": Release("BAAI/bge-m3", "eva02_large_patch14_clip_224", 1024),
}


def read_release(params: VistaParameters, device: str, dtype: Any) -> Parts:
    """Read a released checkpoint, from its file or from the hub and its cache.

    Raises
    ------
    StoreError
        If the file is damaged, or its weights are not those of a release, all of them.
    PluginError
        If the hub does not answer or does not have it.
    """
    torch, transformers = package("torch"), package("transformers")
    path = _file(params)
    weights = read_state_dict("vista", path, "released checkpoint")
    words = weights.get("bge_embeddings.word_embeddings.weight")
    if words is None or words.ndim != 2:
        raise StoreError(f"vista: {path} is no released checkpoint: it has no word embeddings")
    width = words.shape[1]
    release = next((each for each in RELEASES.values() if each.width == width), None)
    if release is None:
        raise StoreError(f"vista: {path} is {width} wide, which is none of the releases")
    source = params.text if params.text is not None else release.text
    where = {"local_files_only": params.local_files_only, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(source, **where)
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **where)
    except Exception as error:
        raise PluginError(
            f"vista: config and tokenizer of {source} cannot be read: {first_line(error)}; bring "
            "their files here and give text='/path/to/folder'"
        ) from error
    text = transformers.AutoModel.from_config(config, trust_remote_code=False)
    tower = timm().create_model(release.tower, num_classes=0)
    try:
        _load(text, "text encoder", _text_weights(weights))
        _load(tower, "image tower", _tower_weights(tower, weights))
        projection = linear(torch, _below("visual_proj.", weights))
    except CrossrankError:
        raise
    except Exception as error:  # timm unpacks shapes and asserts before anything is compared
        raise StoreError(
            f"vista: {path} has weights of other shapes: {first_line(error)}"
        ) from error
    tower = tower.to(device, dtype).eval()
    preparing = Preprocessing.of(release.size, OPENAI)
    return Parts(
        text.to(device, dtype).eval(),
        tokenizer,
        partial(_patches, tower),
        projection.to(device, dtype),
        lambda picture: preparing.apply(preparing.shorten(picture)[0]),
        device,
        dtype,
    )


def _file(params: VistaParameters) -> Path:
    path = Path(str(params.model)).expanduser()
    if path.is_file():
        return path
    if str(params.model) not in RELEASES:
        raise StoreError(
            f"vista: {params.model} is no file, no folder and none of the releases; give one of "
            f"{', '.join(RELEASES)}, a .pth file or a folder of parts"
        )
    from huggingface_hub import hf_hub_download

    name = f"{params.model}.pth"
    try:
        return Path(hf_hub_download(HUB, name, local_files_only=params.local_files_only))
    except Exception as error:  # the hub's client changed its transport, and its errors, twice
        raise PluginError(
            f"vista: {name} is not in the cache of this machine, and the hub does not give it "
            f"({type(error).__name__}: {first_line(error)}); where there is a network, run "
            f"`hf download {HUB} {name} --local-dir .`, and give model='/path/to/{name}'"
        ) from error


def _patches(tower: Any, images: Any) -> Any:
    """Return the patches' states before the tower's last norm, as the model was trained on."""
    return tower.forward_intermediates(
        images, indices=1, norm=False, output_fmt="NLC", intermediates_only=True
    )[-1]


def _text_weights(weights: Mapping[str, Any]) -> dict[str, Any]:
    parts = ("embeddings", "encoder", "pooler")
    return {
        f"{part}.{name}": value
        for part in parts
        for name, value in _below(f"bge_{part}.", weights).items()
        if name not in BUFFERS
    }


def _tower_weights(tower: Any, weights: Mapping[str, Any]) -> dict[str, Any]:
    from timm.models.eva import checkpoint_filter_fn

    own = checkpoint_filter_fn(_below("model_visual.", weights), tower)
    return {name: value for name, value in own.items() if not name.startswith("head.")}


def _below(prefix: str, weights: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): value.float()
        for name, value in weights.items()
        if name.startswith(prefix)
    }


def _load(module: Any, what: str, weights: dict[str, Any]) -> None:
    try:
        report = module.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise StoreError(f"vista: the {what} has other sizes: {lines[-1]}") from error
    missing = [name for name in report.missing_keys if not name.endswith(BUFFERS)]
    if missing or report.unexpected_keys:
        raise StoreError(
            f"vista: the {what} does not fit its weights: missing {_listed(missing)}; not known "
            f"{_listed(report.unexpected_keys)}"
        )


def _listed(names: Iterable[str]) -> str:
    known = sorted(names)
    return ", ".join(known[:6]) + (" …" if len(known) > 6 else "") or "nothing"
