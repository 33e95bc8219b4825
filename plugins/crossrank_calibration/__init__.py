"""Calibration: scores become probabilities, sorted scores a confidence in the ranking.

Fitted on judged results of one split, for those of another; `crossrank.Calibration` applies it.
"""

from crossrank_calibration.abstention import normalised_auc
from crossrank_calibration.calibrating import calibrate, measured
from crossrank_calibration.labelled import Labelled
from crossrank_calibration.reliability import Bin, expected_calibration_error, reliability

__all__ = [
    "Bin",
    "Labelled",
    "calibrate",
    "expected_calibration_error",
    "measured",
    "normalised_auc",
    "reliability",
]
