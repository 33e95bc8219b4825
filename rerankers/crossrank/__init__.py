"""A second look at image–text retrieval: rerank candidate lists through registered plugins."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from crossrank._own_names import own_names, places_of

if TYPE_CHECKING:
    from crossrank._encode.call import encode
    from crossrank._engine.options import RunOptions
    from crossrank._items.captions import Captions, read_captions
    from crossrank._items.collection import Collection
    from crossrank._items.fingerprint import fingerprint
    from crossrank._items.images import open_image
    from crossrank._items.item import Item
    from crossrank._items.ragged import Ragged
    from crossrank._lists.auto_depth import AutoDepth
    from crossrank._lists.calibration import Calibration, Confidence
    from crossrank._lists.candidates import Candidates
    from crossrank._lists.evidence import Evidence, Link
    from crossrank._lists.fusion import RRF, Fused, Fusion, Replace
    from crossrank._lists.hits import Hit, Trace
    from crossrank._lists.rankings import Ranking, Rankings
    from crossrank._lists.stage_scores import StageScores
    from crossrank._lists.statistics import Statistics
    from crossrank._lists.weighted_sum import WeightedSum
    from crossrank._pipeline import Pipeline
    from crossrank._rerank.awaiting import arerank, arerank_many
    from crossrank._rerank.call import rerank, rerank_many
    from crossrank._search.search import search
    from crossrank._stage import Stage
    from crossrank.evaluation import BothDirections, Evaluation, evaluate, evaluate_matrix
    from crossrank.plugin.contract import (
        Block,
        Context,
        Encoder,
        EncoderInfo,
        Feature,
        Needs,
        Pairs,
        Progress,
        Reranker,
        RerankerInfo,
        Scores,
        Side,
        State,
    )
    from crossrank.plugin.hookspecs import hookimpl
    from crossrank.plugin.registry import register
    from crossrank_ablation import AblationResult, Split, ablate
    from crossrank_bench import bench
    from crossrank_remote import Client

__version__ = "0.1.0"

__all__ = [
    "RRF",
    "AblationResult",
    "AutoDepth",
    "Block",
    "BothDirections",
    "Calibration",
    "Candidates",
    "Captions",
    "Client",
    "Collection",
    "Confidence",
    "Context",
    "Encoder",
    "EncoderInfo",
    "Evaluation",
    "Evidence",
    "Feature",
    "Fused",
    "Fusion",
    "Hit",
    "Item",
    "Link",
    "Needs",
    "Pairs",
    "Pipeline",
    "Progress",
    "Ragged",
    "Ranking",
    "Rankings",
    "Replace",
    "Reranker",
    "RerankerInfo",
    "RunOptions",
    "Scores",
    "Side",
    "Split",
    "Stage",
    "StageScores",
    "State",
    "Statistics",
    "Trace",
    "WeightedSum",
    "ablate",
    "arerank",
    "arerank_many",
    "bench",
    "encode",
    "evaluate",
    "evaluate_matrix",
    "fingerprint",
    "hookimpl",
    "open_image",
    "read_captions",
    "register",
    "rerank",
    "rerank_many",
    "search",
]


_MODULES = ("cli", "errors", "evaluation", "plugin", "report", "testing")
"""The public ones."""

if not TYPE_CHECKING:  # a type checker would take every attribute for one of these
    _own = own_names(__name__)

    def __getattr__(name: str) -> Any:
        """Return a name of our own, a public module, or what another package lends."""
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        try:
            return _own(name)
        except AttributeError:
            from crossrank.plugin._names import lent

            value = globals()[name] = lent(name)
            return value

    def __dir__() -> list[str]:
        """Return all names, those that are lent too."""
        from crossrank.plugin._names import lent_names

        return sorted({*globals(), *_MODULES, *places_of(__name__), *lent_names()})
