"""The parameters of the encoder ``multivector``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrank.plugin.parameters import boolean, check, float_type, integer, none, text


@dataclass(frozen=True, slots=True)
class MultiVectorParameters:
    """Which checkpoint, and where it computes.

    Parameters
    ----------
    model
        A folder that holds a checkpoint of ``ColPaliForRetrieval``, ``ColQwen2ForRetrieval`` or
        ``ColModernVBertForRetrieval`` of transformers, or the name of one on the model hub.  Those
        of colpali-engine are other files: take the ones whose names end in ``-hf``.
    revision
        A commit, tag or branch on the hub.
    min_pixels, max_pixels
        Of a picture as the model sees it, for families that keep its shape (ColQwen2); the
        checkpoint's by default.
    device
        Where torch computes: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    dtype
        The float type of the weights.  Features are float32 whatever it is.
    local_files_only
        Never ask the hub, even for what the cache lacks.

    Raises
    ------
    ParameterError
        If a value is of the wrong type or not among those above.
    """

    model: str | Path = "vidore/colqwen2-v1.0-hf"
    revision: str | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    device: str = "cpu"
    dtype: str = "float32"
    local_files_only: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", str(self.model))
        check(
            "multivector",
            self,
            model=text,
            revision=text | none,
            min_pixels=integer(1) | none,
            device=text,
            dtype=float_type,
            local_files_only=boolean,
        )
        fewest = 1 if self.min_pixels is None else self.min_pixels
        check("multivector", self, max_pixels=integer(fewest) | none)
