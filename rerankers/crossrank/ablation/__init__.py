"""Ablations: pipelines and their variants side by side, tested, shown, with what they cost."""

from crossrank.ablation.cache import ScoreCache
from crossrank.ablation.cell_result import CellResult
from crossrank.ablation.cost import Cost
from crossrank.ablation.data import Split
from crossrank.ablation.differences import Differences, compare_results
from crossrank.ablation.result import AblationResult
from crossrank.ablation.statistics import Comparison
from crossrank.ablation.study import ablate

__all__ = [
    "AblationResult",
    "CellResult",
    "Comparison",
    "Cost",
    "Differences",
    "ScoreCache",
    "Split",
    "ablate",
    "compare_results",
]
