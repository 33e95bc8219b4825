"""Before and after, side by side: measures, matrices, significance."""

from crossrank._files.trec import read_qrels, write_qrels
from crossrank.evaluation._both import BothDirections
from crossrank.evaluation._captionmap import CaptionMap
from crossrank.evaluation._matrix import evaluate_matrix
from crossrank.evaluation._protocol import evaluate
from crossrank.evaluation._qrels import (
    QrelsLike,
    as_qrels,
    cluster_folds,
    clusters_by_relevance,
    relevant_sets,
)
from crossrank.evaluation._result import Evaluation, Gain
from crossrank.evaluation._runs import RunLike
from crossrank.evaluation._significance import Significance, bootstrap_interval, randomisation_test
from crossrank.evaluation._ties import Bounds, Ties
from crossrank.evaluation._winoground import Winoground, winoground

__all__ = [
    "BothDirections",
    "Bounds",
    "CaptionMap",
    "Evaluation",
    "Gain",
    "QrelsLike",
    "RunLike",
    "Significance",
    "Ties",
    "Winoground",
    "as_qrels",
    "bootstrap_interval",
    "cluster_folds",
    "clusters_by_relevance",
    "evaluate",
    "evaluate_matrix",
    "randomisation_test",
    "read_qrels",
    "relevant_sets",
    "winoground",
    "write_qrels",
]
