"""What a saved `CrossEncoder` of sentence-transformers says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from crossrank.plugin.files import parse_json
from crossrank_vlm.parameters import VlmParameters
from crossrank_vlm.presets import Preset


def as_saved(params: VlmParameters, folder: Path) -> Preset:
    """Return how an encoder that was saved to a folder is asked; what the parameters give stays."""
    changed: dict[str, Any] = {}
    for path in sorted(folder.glob("*LogitScore*/config.json")):
        said = settings_in(path)
        for name in ("true", "false"):
            token = said.get(f"{name}_token_id")
            if getattr(params, name) is None and isinstance(token, int):
                changed[name] = (token,)
    said = settings_in(folder / "config_sentence_transformers.json")
    inner = settings_in(folder / "config.json").get("sentence_transformers")
    activation = said.get("activation_fn") or (inner or {}).get("activation_fn")
    if params.sigmoid is None and isinstance(activation, str):
        changed["sigmoid"] = activation.endswith("Sigmoid")
    prompts, prompt = said.get("prompts"), said.get("default_prompt_name")
    if params.instruction is None and isinstance(prompts, dict) and prompt in prompts:
        changed["instruction"] = str(prompts[prompt])
    processing = settings_in(folder / "sentence_bert_config.json").get("processing_kwargs")
    chat = processing.get("chat_template") if isinstance(processing, dict) else None
    if isinstance(chat, dict):
        changed["opens"] = bool(chat.get("add_generation_prompt", False))
    return replace(params.asked, **changed)


def settings_in(path: Path) -> dict[str, Any]:
    """Return the settings in a file of JSON; none if there is no such file."""
    try:
        found = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
