"""A second look at image–text retrieval: rerank candidate lists through registered plugins."""

from crossrank.ablation import AblationResult, Split, ablate
from crossrank.candidates import Candidates
from crossrank.captions import Captions, read_captions
from crossrank.collection import Collection
from crossrank.contract import (
    Block,
    Context,
    Encoder,
    EncoderInfo,
    Needs,
    Reranker,
    RerankerInfo,
    Scores,
)
from crossrank.dropin import rerank, rerank_many
from crossrank.encoding import encode
from crossrank.evaluation import BothDirections, Evaluation, evaluate, evaluate_matrix
from crossrank.evidence import Evidence, Link
from crossrank.fingerprint import fingerprint
from crossrank.fusion import RRF, Fusion, Replace, WeightedSum
from crossrank.hits import Hit, Trace
from crossrank.hookspecs import hookimpl
from crossrank.images import open_image
from crossrank.item import Item
from crossrank.pipeline import Pipeline
from crossrank.ragged import Ragged
from crossrank.rankings import Ranking, Rankings
from crossrank.registry import register
from crossrank.search import search
from crossrank.stage import Stage

__version__ = "0.1.0"

__all__ = [
    "RRF",
    "AblationResult",
    "Block",
    "BothDirections",
    "Candidates",
    "Captions",
    "Collection",
    "Context",
    "Encoder",
    "EncoderInfo",
    "Evaluation",
    "Evidence",
    "Fusion",
    "Hit",
    "Item",
    "Link",
    "Needs",
    "Pipeline",
    "Ragged",
    "Ranking",
    "Rankings",
    "Replace",
    "Reranker",
    "RerankerInfo",
    "Scores",
    "Split",
    "Stage",
    "Trace",
    "WeightedSum",
    "ablate",
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
