"""The parameters of the encoder ``vista``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrank.plugin.parameters import boolean, check, float_type, none, path, text


@dataclass(frozen=True, slots=True)
class VistaParameters:
    """Which checkpoint, and where it computes.

    Parameters
    ----------
    model
        The name of a released checkpoint (``"Visualized_base_en_v1.5"``, ``"Visualized_m3"``), the
        path of such a ``.pth`` file, or a folder of parts: ``text/`` and ``image/``, checkpoints of
        transformers, and ``visual_proj.safetensors`` with ``weight`` and ``bias``.
    text
        For a released checkpoint: where config and tokenizer of its text encoder lie, a folder or
        a name on the model hub; by default the one it was made from.
    device
        Where torch computes.
    dtype
        The float type of the weights, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    local_files_only
        Never ask the hub, even for what the cache lacks.

    Raises
    ------
    ParameterError
        If a value is of the wrong type or not among those above.
    """

    model: str | Path = "Visualized_base_en_v1.5"
    text: str | Path | None = None
    device: str = "cpu"
    dtype: str = "float32"
    local_files_only: bool = False

    def __post_init__(self) -> None:
        check(
            "vista",
            self,
            model=path,
            text=path | none,
            device=text,
            dtype=float_type,
            local_files_only=boolean,
        )
        object.__setattr__(self, "model", str(self.model))
        if self.text is not None:
            object.__setattr__(self, "text", str(self.text))
