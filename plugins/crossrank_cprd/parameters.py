"""The parameters of the reranker ``cprd``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crossrank.errors import ParameterError

SHIPPED = Path(__file__).with_name("lite_student.safetensors")
"""A student for features of ``lite``, taught on Flickr8k's train split."""


@dataclass(frozen=True, slots=True)
class CprdParameters:
    """What may be chosen.

    Parameters
    ----------
    student
        The file of a trained student, ``….safetensors``, with its ``….json`` beside it; written by
        `crossrank_cprd.saving.save_student`, for example in ``research/train_cprd.py``.  By default
        the one that comes along for features of the encoder ``lite``, see its MODEL_CARD.md.
    """

    student: str | Path = SHIPPED

    def __post_init__(self) -> None:
        if not str(self.student):
            raise ParameterError(
                "cprd: student is empty; give a file that research/train_cprd.py writes, or leave "
                "it out for the student of lite that comes along"
            )
