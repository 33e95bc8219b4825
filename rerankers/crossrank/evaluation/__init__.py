"""Before and after, side by side: measures, matrices, significance."""

from crossrank.evaluation.both import BothDirections
from crossrank.evaluation.captionmap import CaptionMap
from crossrank.evaluation.matrix import evaluate_matrix
from crossrank.evaluation.protocol import evaluate
from crossrank.evaluation.qrels import QrelsLike, as_qrels
from crossrank.evaluation.result import Evaluation, Gain
from crossrank.evaluation.runs import RunLike
from crossrank.evaluation.significance import Significance, bootstrap_interval, randomisation_test

__all__ = [
    "BothDirections",
    "CaptionMap",
    "Evaluation",
    "Gain",
    "QrelsLike",
    "RunLike",
    "Significance",
    "as_qrels",
    "bootstrap_interval",
    "evaluate",
    "evaluate_matrix",
    "randomisation_test",
]
