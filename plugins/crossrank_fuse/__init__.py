"""Learned fusion: one rule for the scores of all stages, fitted on judged results.

The scores are those that `crossrank.Rankings` hold of every stage; nothing is scored again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_fuse.coordinate import coordinate_search
    from crossrank_fuse.fitting import cross_fitted, fit
    from crossrank_fuse.learned import LearnedFusion

__getattr__ = lazy_names(__name__)

__all__ = ["LearnedFusion", "coordinate_search", "cross_fitted", "fit"]
