"""The parameters of the encoder ``clip``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrank.plugin.parameters import boolean, check, float_type, none, text


@dataclass(frozen=True, slots=True)
class ClipParameters:
    """Which checkpoint, and where it computes.

    Parameters
    ----------
    model
        A folder that holds a checkpoint, or the name of one on the model hub.
    revision
        A commit, tag or branch on the hub.  Without one, the default branch as it lies in the
        cache; give a commit to be sure of the weights.
    device
        Where torch computes: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    dtype
        The float type of the weights, ``"float32"``, ``"bfloat16"`` or ``"float16"``.  Features
        are float32 whatever it is; only in float32 do they not depend on the batch.
    local_files_only
        Never ask the hub, even for what the cache lacks.

    Raises
    ------
    ParameterError
        If a value is of the wrong type or not among those above.
    """

    model: str | Path = "openai/clip-vit-base-patch32"
    revision: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    local_files_only: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", str(self.model))
        check(
            "clip",
            self,
            model=text,
            revision=text | none,
            device=text,
            dtype=float_type,
            local_files_only=boolean,
        )
