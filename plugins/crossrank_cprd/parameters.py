"""The parameters of the reranker ``cprd``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrank.errors import ParameterError


@dataclass(frozen=True, slots=True)
class CprdParameters:
    """What may be chosen.

    Parameters
    ----------
    student
        The file of a trained student, ``….safetensors``, with its ``….json`` beside it; written by
        `crossrank_cprd.saving.save_student`, for example in ``research/train_cprd.py``.
    """

    student: str | Path = ""

    def __post_init__(self) -> None:
        if not str(self.student):
            raise ParameterError(
                "cprd needs a student, a file that research/train_cprd.py writes: "
                'Stage("cprd", params={"student": path})'
            )
