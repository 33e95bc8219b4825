"""The reranker ``cprd``: a distilled student's inner products."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, ParameterError
from crossrank.plugin.torch_device import device_of
from crossrank_cprd.saving import Card, load_card, load_student

READS = ("embedding", "tokens")
SHIPPED = Path(__file__).with_name("lite_student.safetensors")
"""A student for features of ``lite``, taught on Flickr8k's train split."""


@dataclass(frozen=True, slots=True)
class CprdParameters:
    """What may be chosen.

    Parameters
    ----------
    student
        The file of a trained student, ``….safetensors``, with its ``….json`` beside it; written by
        `crossrank_cprd.saving.save_student`, for example in ``research/train_cprd.py``.  By default
        the one that comes along for features of the encoder ``lite``, see its MODEL_CARD.md.
    """

    student: str | Path = SHIPPED

    def __post_init__(self) -> None:
        if not str(self.student):
            raise ParameterError(
                "cprd: student is empty; give a file that research/train_cprd.py writes, or leave "
                "it out for the student of lite that comes along"
            )


@dataclass(frozen=True, slots=True)
class CprdState:
    """The embeddings of a run.

    Parameters
    ----------
    queries, candidates
        ``[n, D]`` float32 of those that occur.
    query_places, candidate_places
        Per row of the run's collections its place among them.
    """

    queries: NDArray[np.float32]
    candidates: NDArray[np.float32]
    query_places: NDArray[np.int64]
    candidate_places: NDArray[np.int64]


class CprdReranker(cr.Reranker):
    """The inner product of embeddings that another reranker, or a whole pipeline, has taught.

    Every query and candidate is embedded once, in `prepare`; a pair then costs one inner product,
    as in the base search, whatever its teacher cost.
    """

    info = cr.RerankerInfo(
        name="cprd",
        summary="inner product of a student distilled from other rerankers",
        paper="Contrastive Partial Ranking Distillation, CVPR 2024",
        query_features=READS,
        candidate_features=READS,
        directions=("t2i", "i2t"),
        trained=True,
        extra="cprd",
    )
    Parameters = CprdParameters

    @cached_property
    def card(self) -> Card:
        """What the student is."""
        return load_card(self.params.student)

    def fingerprint(self) -> str:
        """Return a digest of the student's weights, wherever its file lies."""
        return cr.fingerprint([type(self).__qualname__, self.card.weights])

    def needs(self, context: cr.Context) -> cr.Needs:
        """Return what `prepare` embeds; blocks carry nothing."""
        return cr.Needs(READS, READS, READS)

    def prepare(self, context: cr.Context) -> CprdState:
        """Embed everything that occurs, once."""
        for side in (context.queries, context.gallery):
            if None not in (side.encoder, self.card.encoder) and side.encoder != self.card.encoder:
                raise FeatureMismatchError(
                    f"cprd: the student was trained on features of {self.card.encoder}, the "
                    f"{side.modality}s were encoded with {side.encoder}; encode them again, or "
                    "train another student"
                )
        from crossrank_cprd.embedding import embed

        asked, listed = context.asked, context.listed
        device = device_of("cprd", context.device, "cprd")
        student = load_student(self.params.student).to(device)
        budget = context.memory_budget
        queries = embed(student, asked.collection, asked.rows, budget)
        candidates = embed(student, listed.collection, listed.rows, budget)
        return CprdState(queries, candidates, asked.places, listed.places)

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the inner products."""
        queries = state.queries[state.query_places[block.query_rows]]
        found = state.candidates[state.candidate_places[block.candidate_rows]]
        values = np.zeros(block.mask.shape, np.float32)
        for row, query in enumerate(queries):
            values[row] = found[block.index[row]] @ query
        return cr.Scores(values)
