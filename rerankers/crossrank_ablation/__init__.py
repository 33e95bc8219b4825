"""Ablations: pipelines and their variants side by side, tested, shown, with what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_ablation.cache import ScoreCache
    from crossrank_ablation.cell_result import CellResult
    from crossrank_ablation.cost import Cost
    from crossrank_ablation.differences import Differences, compare_results
    from crossrank_ablation.result import AblationResult
    from crossrank_ablation.statistics import Comparison
    from crossrank_ablation.study import ablate
    from crossrank_ablation.task import Split

__getattr__ = lazy_names(__name__)

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
