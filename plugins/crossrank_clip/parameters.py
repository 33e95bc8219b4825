"""The parameters of the encoder ``clip``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrank.errors import ParameterError

DTYPES = ("float32", "bfloat16", "float16")


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
        for name in ("model", "revision", "device"):
            value = getattr(self, name)
            if not (name == "revision" and value is None) and not _is_name(value):
                raise ParameterError(f"clip: {name} is {value!r}; give a non-empty str")
        if self.dtype not in DTYPES:
            raise ParameterError(f"clip: dtype is {self.dtype!r}; give one of {', '.join(DTYPES)}")
        if not isinstance(self.local_files_only, bool):
            raise ParameterError(
                f"clip: local_files_only is {self.local_files_only!r}; give True or False"
            )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
