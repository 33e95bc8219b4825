"""Scoring: jobs of many requests in, a ranking or a problem for each out, by `crossrank.rerank`."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import crossrank as cr
from crossrank.errors import CrossrankError
from crossrank.plugin.encoders import as_encoder
from crossrank_serve.contents import Job, Piece
from crossrank_serve.encoding import Encoded, PieceEncoder, Wanted
from crossrank_serve.feature_cache import FeatureCache
from crossrank_serve.limits import Limits
from crossrank_serve.needs import Needed, needed
from crossrank_serve.pace import Pace
from crossrank_serve.problems import RequestError, problem_of
from crossrank_serve.records import Ranked

logger = logging.getLogger(__name__)

Outcome = Ranked | RequestError


class Engine:
    """A pipeline and an encoder behind a cache of encoded items; thread-safe.

    Parameters
    ----------
    stages
        As for `crossrank.Pipeline`.  Where a request brings no base scores, a first stage whose
        fusion needs them replaces instead, as in `crossrank.rerank`.
    encoder
        A name, class or object.
    limits
        Of pictures, and of the cache.
    """

    def __init__(
        self,
        stages: Sequence[cr.Stage],
        encoder: str | type[cr.Encoder] | cr.Encoder = "lite",
        limits: Limits | None = None,
    ) -> None:
        self.limits = Limits() if limits is None else limits
        self.encoder = as_encoder(encoder, {})
        self.scored = cr.Pipeline(list(stages))
        self.unscored = cr.Pipeline([_replacing(self.scored.stages[0]), *self.scored.stages[1:]])
        self._pace = Pace(len(self.scored.stages))
        self.cache = FeatureCache(self.limits.feature_bytes)
        self._encoder = PieceEncoder(self.encoder, self.cache, self.limits)

    @property
    def name(self) -> str:
        """What the server calls its model."""
        stages = "+".join(stage.name for stage in self.scored.stages)
        return f"crossrank-{self.encoder.info.name}-{stages}"

    @property
    def joint(self) -> bool:
        """Whether the encoder knows a picture and a text at once."""
        return bool(self.encoder.info.features.get("image+text"))

    def encode(self, wanted: Sequence[Wanted]) -> Encoded:
        """Encode pieces that are not known yet; see `PieceEncoder.encode`."""
        return self._encoder.encode(wanted)

    def close(self) -> None:
        """Encode nothing more: what is under way ends soon, and nobody waits for it."""
        self._encoder.closed = True

    def reads(self, modality: str) -> tuple[str, ...]:
        """Return what a search reads of a gallery: for its stages, their evidence, and to find."""
        query = Piece("query", "a text", None, b"")
        text, picture = ("", None) if modality == "text" else (None, b"")
        listed = Piece("gallery", text, picture, b"")
        need = needed(self.scored, self.encoder, Job((query,), (listed,), None, 0))
        return tuple(dict.fromkeys(("embedding", *need.documents[modality])))

    def rank(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Score jobs together: what one of them does wrong harms no other.

        Each piece is encoded once, however many jobs hold it.
        """
        needs: list[Needed | RequestError] = [_tried(self, job) for job in jobs]
        wanted: dict[tuple[str, bytes], tuple[Piece, tuple[str, ...]]] = {}
        for job, need in zip(jobs, needs, strict=True):
            if isinstance(need, Needed):
                for piece, features in need.of(job):
                    key = (piece.modality, piece.key)
                    other = wanted.get(key, (piece, ()))[1]
                    wanted[key] = piece, tuple(dict.fromkeys((*other, *features)))
        until = max((job.until for job in jobs), default=math.inf)
        encoded = self._encoder.encode(list(wanted.values()), until)
        pairs, now = sum(len(job.documents) for job in jobs), time.monotonic()
        groups: dict[tuple[int, object], list[int]] = {}
        outcomes: list[Outcome] = [RequestError(500, "not scored")] * len(jobs)
        for place, (job, need) in enumerate(zip(jobs, needs, strict=True)):
            problem = need if isinstance(need, RequestError) else encoded.problem(job)
            if problem is not None:
                outcomes[place] = problem
            else:
                fitting = self._pace.fitting(pairs, job.until - now)
                groups.setdefault((fitting, self._group(job, place)), []).append(place)
        for (fitting, _), places in groups.items():
            made = self._together([jobs[place] for place in places], encoded, fitting)
            for place, outcome in zip(places, made, strict=True):
                outcomes[place] = outcome
        return outcomes

    def _group(self, job: Job, place: int) -> object:
        """Return what jobs share that can be scored in one run; a transductive run is alone."""
        scored = job.base_scores is not None
        if (self.scored if scored else self.unscored).transductive:
            return place
        kinds = frozenset(piece.modality for piece in job.query), len(job.query) > 1
        return kinds, frozenset(piece.modality for piece in job.documents), scored

    def _together(self, jobs: Sequence[Job], encoded: Encoded, fitting: int) -> list[Outcome]:
        """Rank jobs of one kind by the stages for which there is time."""
        whole = self.unscored if jobs[0].base_scores is None else self.scored
        stages = whole.stages[:fitting]
        left_out = tuple(stage.name for stage in whole.stages[fitting:])
        began = time.monotonic()
        try:
            made = self._ranked(jobs, encoded, cr.Pipeline(stages) if left_out else whole)
        except Exception as error:
            if len(jobs) > 1:
                return [self._together([job], encoded, fitting)[0] for job in jobs]
            return [_reported(error)]
        pairs = sum(len(job.documents) for job in jobs)
        self._pace.measured(fitting, pairs, time.monotonic() - began)
        return [replace(each, left_out=left_out) for each in made]

    def _ranked(self, jobs: Sequence[Job], encoded: Encoded, pipeline: cr.Pipeline) -> list[Ranked]:
        """Rank jobs of one kind in one run."""
        scored = jobs[0].base_scores is not None
        kinds = sorted({piece.modality for piece in jobs[0].documents})
        if len(kinds) > 1 and not scored and _by_pair(pipeline):
            parts = [
                self._ranked([_only(job, kind) for job in jobs], encoded, pipeline)
                for kind in kinds
            ]
            return [_merged(job, kinds, each) for job, *each in zip(jobs, *parts, strict=True)]
        queries = [encoded.query(job, str(place)) for place, job in enumerate(jobs)]
        lists = [encoded.documents(job, str(place)) for place, job in enumerate(jobs)]
        rankings = cr.rerank_many(
            queries,
            lists,
            pipeline,
            encoder=self.encoder,
            cache=False,  # features come along, and what clients send stays off the disk
            base_scores=[job.base_scores for job in jobs] if scored else None,  # type: ignore[misc]
        )
        return [
            self._with_evidence(job, tuple(_placed(hit) for hit in ranking), pipeline, encoded)
            for job, ranking in zip(jobs, rankings.values(), strict=True)
        ]

    def _with_evidence(
        self, job: Job, hits: tuple[cr.Hit, ...], pipeline: cr.Pipeline, encoded: Encoded
    ) -> Ranked:
        evidence: dict[int, Mapping[str, cr.Evidence]] = {}
        if job.explain:
            shown = [hit.index for hit in hits[: job.explain]]
            evidence = encoded.evidence(job, shown, pipeline)
        return Ranked(hits, evidence, tokens=encoded.tokens(job))


def _tried(engine: Engine, job: Job) -> Needed | RequestError:
    try:
        return needed(engine.scored, engine.encoder, job)
    except CrossrankError as error:
        return _reported(error)


def _reported(error: BaseException) -> RequestError:
    problem = problem_of(error)
    if problem.status >= 500:
        logger.error("a request could not be scored", exc_info=error)
    return problem


def _replacing(stage: cr.Stage) -> cr.Stage:
    if not stage.fusion.needs_scores:
        return stage
    return cr.Stage(stage.scorer, depth=stage.depth, fusion=cr.Replace(), name=stage.name)


def _by_pair(pipeline: cr.Pipeline) -> bool:
    """Tell whether final scores are those of pairs, so that lists can be cut and put together."""
    return (
        len(pipeline.stages) == 1
        and isinstance(pipeline.stages[0].fusion, cr.Replace)
        and pipeline.stages[0].depth is None
        and not pipeline.transductive
    )


def _only(job: Job, kind: str) -> Job:
    return replace(job, documents=tuple(each for each in job.documents if each.modality == kind))


def _merged(job: Job, kinds: Sequence[str], parts: Sequence[Ranked]) -> Ranked:
    """Put the rankings of a job's texts and pictures together."""
    hits: list[cr.Hit] = []
    evidence: dict[int, Mapping[str, cr.Evidence]] = {}
    for kind, part in zip(kinds, parts, strict=True):
        own = [place for place, each in enumerate(job.documents) if each.modality == kind]
        for hit in part.hits:
            place = own[hit.index]
            hits.append(replace(hit, index=place, base_rank=place + 1, id=str(place)))
        evidence |= {own[place]: each for place, each in part.evidence.items()}
    hits.sort(key=lambda hit: (-hit.score, hit.index))
    ranked = tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits, 1))
    return Ranked(ranked, evidence, tokens=sum(part.tokens for part in parts))


def _placed(hit: cr.Hit) -> cr.Hit:
    """Return a hit under its place in the request."""
    place = hit.id.rpartition("/")[2]
    return replace(hit, id=place, index=int(place))
