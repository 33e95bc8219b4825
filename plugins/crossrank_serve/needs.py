"""Which features of a job's pieces a pipeline reads, to score and to explain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import crossrank as cr
from crossrank_serve.contents import Job, Piece


@dataclass(frozen=True, slots=True)
class Needed:
    """Features of either side.

    Parameters
    ----------
    queries, documents
        Per modality the names, without those that items carry anyway.
    """

    queries: dict[str, tuple[str, ...]]
    documents: dict[str, tuple[str, ...]]

    def of(self, job: Job) -> Iterator[tuple[Piece, tuple[str, ...]]]:
        """Yield every piece of a job with what is read of it."""
        for piece in job.query:
            yield piece, self.queries[piece.modality]
        for piece in job.documents:
            yield piece, self.documents[piece.modality]


def needed(pipeline: cr.Pipeline, encoder: cr.Encoder, job: Job) -> Needed:
    """Ask the stages of a pipeline what they read."""
    asked = sorted({piece.modality for piece in job.query})
    queries: dict[str, tuple[str, ...]] = dict.fromkeys(asked, ())
    documents: dict[str, tuple[str, ...]] = {}
    together = "+".join(sorted({part for kind in asked for part in kind.split("+")}))
    for kind in sorted({piece.modality for piece in job.documents}):
        for_queries, for_documents = _read(pipeline, together, kind)
        documents[kind] = _given(encoder, kind, for_documents, pipeline)
        for each in asked:
            own = _given(encoder, each, for_queries, pipeline)
            queries[each] = tuple(dict.fromkeys((*queries[each], *own)))
    return Needed(queries, documents)


def _read(pipeline: cr.Pipeline, asked: str, listed: str) -> tuple[list[str], list[str]]:
    lists = cr.Candidates.from_lists([["d"]], query_ids=["q"], candidate_ids=["d"])
    context = cr.Context(
        _bare("q", asked), _bare("d", listed), lists, lists.check_direction(asked, listed)
    )
    needs = [stage.scorer.needs(context) for stage in pipeline.stages]
    return (
        [name for need in needs for name in need.queries],
        [name for need in needs for name in need.candidates],
    )


def _bare(id: str, modality: str) -> cr.Collection:
    if "text" in modality:
        return cr.Collection([id], modality, text=("a text",))
    return cr.Collection([id], modality)


def _given(
    encoder: cr.Encoder, kind: str, names: Sequence[str], pipeline: cr.Pipeline
) -> tuple[str, ...]:
    """Return the names with those that explain, where the encoder gives them."""
    gives = encoder.info.features.get(kind, ())
    shown = [n for stage in pipeline.stages for n in stage.scorer.info.explain_features]
    return tuple(
        dict.fromkeys(
            name
            for name in (*names, *(each for each in shown if each in gives))
            if name not in ("text", "path")
        )
    )
