"""Calibration: scores become probabilities, sorted scores a confidence in the ranking.

Fitted on judged results of one split, for those of another; `crossrank.Calibration` applies it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_calibration.abstention import normalised_auc
    from crossrank_calibration.bins import Bin, expected_calibration_error, reliability
    from crossrank_calibration.calibrating import calibrate, measured
    from crossrank_calibration.labelled import Labelled

__getattr__ = lazy_names(__name__)

__all__ = [
    "Bin",
    "Labelled",
    "calibrate",
    "expected_calibration_error",
    "measured",
    "normalised_auc",
    "reliability",
]
