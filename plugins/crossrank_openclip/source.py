"""What a model is made of before it is built: its config, activation, preprocessing and weights.

open_clip fills in OpenAI's preprocessing and GELU where nothing is said; here nothing is guessed:
what neither the config nor the tags of a model tell has to be given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossrank.errors import ParameterError, PluginError, StoreError, nearest
from crossrank.plugin.files import read_json
from crossrank.plugin.hub import first_line
from crossrank_openclip.importing import open_clip
from crossrank_openclip.parameters import OpenClipParameters

CONFIG = "open_clip_config.json"
SUFFIXES = (".safetensors", ".bin", ".pth", ".pt")
USUAL = ("open_clip_model", "open_clip_pytorch_model", "model", "pytorch_model")
LOOK = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model, as it is to be built.

    Parameters
    ----------
    name
        What ``open_clip.create_model`` takes.
    weights
        The file with its state dict.
    quick_gelu
        Which activation it was trained with.
    look
        How pictures are prepared: ``mean``, ``std``, maybe ``interpolation``, ``resize_mode``, ….
    """

    name: str
    weights: Path
    quick_gelu: bool
    look: Mapping[str, Any]


def recipe(params: OpenClipParameters) -> Recipe:
    """Find out what a model is made of; a hub is asked only for what its cache lacks.

    Raises
    ------
    ParameterError
        If there is no such model or tag, or activation or preprocessing have to be given.
    StoreError
        If a file or folder is missing or incomplete.
    PluginError
        If the hub does not answer or does not have it.
    """
    if params.folder is not None or params.hub_name is not None:
        if params.pretrained is not None:
            raise ParameterError(
                f"openclip: {params.model} brings its own weights; leave pretrained out"
            )
        return _of_folder(params, params.folder) if params.folder else _of_hub(params)
    module = open_clip()
    names = module.list_models()
    if params.model not in names:
        raise ParameterError(
            f"openclip: open_clip knows no model {params.model!r}{nearest(params.model, names)}"
        )
    tags = {
        tag: module.get_pretrained_cfg(params.model, tag)
        for tag in module.list_pretrained_tags_by_model(params.model)
    }
    tag = str(params.pretrained).lower().replace("-", "_")
    if tag in tags:
        return _of_tag(params, tag, tags)
    return _of_file(params, tags)


def _of_tag(params: OpenClipParameters, tag: str, tags: Mapping[str, Any]) -> Recipe:
    entry = tags[tag]
    trained = bool(entry.get("quick_gelu", False))
    if params.quick_gelu not in (None, trained):
        raise ParameterError(
            f"openclip: {params.model}:{tag} was trained with quick_gelu={trained}; "
            "leave quick_gelu out"
        )
    try:
        weights = open_clip().download_pretrained(entry)
    except Exception as error:  # the hub's client changed its transport, and its errors, twice
        raise unreachable(params, error) from error
    return Recipe(params.model, Path(weights), trained, _look(params, tags, entry))


def _of_file(params: OpenClipParameters, tags: Mapping[str, Any]) -> Recipe:
    given = params.pretrained
    if given is None:
        raise ParameterError(
            f"openclip: {params.model} needs pretrained=: one of its tags "
            f"({', '.join(tags) or 'it has none'}) or a file"
        )
    weights = Path(given).expanduser()
    if not weights.is_file():
        raise ParameterError(
            f"openclip: pretrained={str(given)!r} is neither a file nor a tag of {params.model}"
            f"{nearest(str(given), tags) or '; it has no tags'}"
        )
    by_name = open_clip().get_model_config(params.model).get("quick_gelu")
    known = {bool(entry.get("quick_gelu", False)) for entry in tags.values()}
    quick = params.quick_gelu
    if by_name and quick is False:
        raise ParameterError(
            f"openclip: {params.model} means QuickGELU, but quick_gelu is False; "
            f"give model={params.model.removesuffix('-quickgelu')!r}"
        )
    if quick is None and by_name is None and len(known) != 1:
        raise ParameterError(
            f"openclip: {weights.name} loads into {params.model} with GELU and with QuickGELU, and "
            "only one is right: give quick_gelu=True for OpenAI's weights and what was fine-tuned "
            "from them (GeoRSCLIP, RemoteCLIP), False for LAION's"
        )
    if quick is None:
        quick = bool(by_name) if by_name is not None else known.pop()
    return Recipe(params.model, weights, quick, _look(params, tags, None))


def _of_folder(params: OpenClipParameters, folder: Path) -> Recipe:
    config = folder / CONFIG
    if not config.is_file():
        raise StoreError(f"openclip: {folder} holds no {CONFIG}; give the folder of a checkpoint")
    read = _read(config)
    return Recipe(
        f"local-dir:{folder}",
        _weights_in(folder),
        _quick_gelu(params, read["model_cfg"]),
        _look(params, {}, read.get("preprocess_cfg", {})),
    )


def _of_hub(params: OpenClipParameters) -> Recipe:
    from open_clip.pretrained import download_pretrained_from_hf

    name = str(params.hub_name)
    try:
        read = _read(Path(download_pretrained_from_hf(name, filename=CONFIG)))
        weights = Path(download_pretrained_from_hf(name))
    except (StoreError, ParameterError):
        raise
    except Exception as error:
        raise unreachable(params, error) from error
    look = _look(params, {}, read.get("preprocess_cfg", {}))
    return Recipe(params.model, weights, _quick_gelu(params, read["model_cfg"]), look)


def _quick_gelu(params: OpenClipParameters, config: Mapping[str, Any]) -> bool:
    """Return the activation that a checkpoint's own config names."""
    own = bool(config.get("quick_gelu", False))
    if params.quick_gelu not in (None, own):
        raise ParameterError(
            f"openclip: the config of {params.model} says quick_gelu={own}; leave quick_gelu out, "
            "or mend the config if it is wrong"
        )
    return own


def _look(
    params: OpenClipParameters, tags: Mapping[str, Any], own: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    """Return how pictures are prepared: as given, as the model's own, or as all its tags agree."""
    given = params.preprocess
    if isinstance(given, Mapping):
        return given
    if given is not None:
        if given not in tags:
            raise ParameterError(
                f"openclip: preprocess={given!r} is no tag of {params.model}"
                f"{nearest(given, tags) or '; give a mapping with mean and std'}"
            )
        return _shown(tags[given])
    if own is not None and {"mean", "std"} <= set(own):
        return own
    known = [_shown(entry) for entry in tags.values()]
    if own is None and known and all(each == known[0] for each in known):
        return known[0]
    reason = f"its tags {', '.join(tags)} differ" if tags else "its config does not say"
    raise ParameterError(
        f"openclip: how {params.model} wants its pictures is not known ({reason}); give "
        "preprocess= a tag of the model or a mapping with mean and std"
    )


def _shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in LOOK if entry.get(name) is not None}


def _weights_in(folder: Path) -> Path:
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    usual = [folder / (stem + suffix) for suffix in SUFFIXES for stem in USUAL]
    for path in usual:
        if path in found:
            return path
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "no weights"
        raise StoreError(
            f"openclip: {folder} holds {names}; "
            f"it needs one file of weights, such as {USUAL[0]}.safetensors"
        )
    return found[0]


def _read(config: Path) -> dict[str, Any]:
    try:
        read = read_json(config)
        if {"embed_dim", "vision_cfg", "text_cfg"} <= set(read["model_cfg"]):
            return dict(read)
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"openclip: {config} is no config: {first_line(error)}") from error
    raise StoreError(f"openclip: {config} lacks embed_dim, vision_cfg or text_cfg in model_cfg")


def unreachable(params: OpenClipParameters, error: BaseException) -> PluginError:
    """Return the error that tells how to bring a model to a machine without a network."""
    what = f"{params.model}:{params.pretrained}" if params.pretrained else params.model
    return PluginError(
        f"openclip: {what} is not complete in the cache of this machine, and the hub does not give "
        f"it ({type(error).__name__}: {first_line(error)}); bring the file of its weights here and "
        "give pretrained='/path/to/file', or the folder as model='local-dir:/path/to/folder'"
    )
