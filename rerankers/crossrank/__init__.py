"""A second look at image–text retrieval: rerank candidate lists through registered plugins."""

from crossrank.candidates import Candidates
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
from crossrank.evidence import Evidence, Link
from crossrank.fingerprint import fingerprint
from crossrank.fusion import RRF, Fusion, Replace, WeightedSum
from crossrank.hookspecs import hookimpl
from crossrank.images import open_image
from crossrank.item import Item
from crossrank.pipeline import Pipeline
from crossrank.ragged import Ragged
from crossrank.rankings import Hit, Ranking, Rankings, Trace
from crossrank.registry import register
from crossrank.stage import Stage

__version__ = "0.1.0"

__all__ = [
    "RRF",
    "Block",
    "Candidates",
    "Collection",
    "Context",
    "Encoder",
    "EncoderInfo",
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
    "Stage",
    "Trace",
    "WeightedSum",
    "encode",
    "fingerprint",
    "hookimpl",
    "open_image",
    "register",
    "rerank",
    "rerank_many",
]
