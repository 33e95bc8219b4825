"""The drop-in call: a query and its candidates in, a better list out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossrank._checking import check_count, checked, none, one_of
from crossrank._engine.checks import check_fusable
from crossrank._engine.options import RunOptions
from crossrank._features.cache import feature_cache
from crossrank._features.encoding import KeptEncoder
from crossrank._items.collection import Collection
from crossrank._items.item import ItemLike, listed
from crossrank._lists.fusion import Fusion
from crossrank._lists.rankings import Ranking, Rankings
from crossrank._rerank.encoding import Asked, Loose, QueryLike, encode_items, needs_of
from crossrank._rerank.finishing import nothing, with_left_out, with_places
from crossrank._rerank.lists import (
    POLICIES,
    base_scores_of,
    candidates_of,
    loose_lists,
    stored_lists,
)
from crossrank._rerank.makers import encoder_of
from crossrank._rerank.settings import RerankerLike, pipeline_of
from crossrank.errors import InputError
from crossrank.plugin.contract import Encoder, Progress

ON_ITEM = one_of(*POLICIES)
MODALITY = one_of("image", "text") | none

BaseScores: TypeAlias = Sequence[float] | NDArray[np.floating[Any]]
Ids: TypeAlias = Sequence[str | Path | int] | NDArray[Any]


def rerank(
    query: QueryLike | Collection,
    candidates: Sequence[ItemLike] | Collection,
    reranker: RerankerLike = "filip",
    *,
    ids: Ids | None = None,
    encoder: str | type[Encoder] | Encoder | None = None,
    base_scores: BaseScores | None = None,
    top_k: int | None = None,
    score_threshold: float | None = None,
    min_probability: float | None = None,
    deadline: float | None = None,
    fusion: str | Fusion | None = None,
    weight: float | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    threads: int | None = None,
    on_error: str = "raise",
    on_item: str = "raise",
    modality: str | None = None,
    cache: bool | str | Path = True,
    progress: Progress | bool | None = None,
    **params: Any,
) -> Ranking:
    """Rerank the candidates of one query.

    Parameters
    ----------
    query
        A text (str), a picture (`Path`, bytes, a binary file, the data URI of an image, a PIL
        image, an array or a tensor), an `Item`, or a sequence of these.  A picture with a text
        (``[picture, "but at night"]``, or an `Item` of both) is encoded as one where
        the encoder knows both at once; else the parts' features are put together.  A `Collection`
        of one item is taken as it is.
    candidates
        Likewise, all of one kind: texts, pictures, or `Item` with both for an encoder that knows
        them; in base order where there are no base scores.  One may stand in the list twice.

        Or a stored gallery, a `Collection`: its candidates are scored from their features, and no
        picture is opened.
    reranker
        The name of an installed reranker, a class, an object, a `Stage`, several of these that run
        one after another, or a whole `Pipeline`.
    ids
        Which items of a gallery are the candidates, in base order: ids (str) or rows (int); all of
        them by default.
    encoder
        What turns loose items into features; loaded once per process.  By default that of the
        gallery, or ``"lite"``.
    base_scores
        What the base matcher said of each candidate, higher is better.
    top_k
        How many to return; all by default.
    score_threshold
        The lowest final score to return, inclusive.
    min_probability
        The lowest probability to return, inclusive; for a `Pipeline` with a calibration.
    deadline
        Seconds, besides encoding, after which no further stage is begun; the trace says so.
    fusion
        How base and new scores are joined: ``"weighted"``, ``"replace"``, ``"rrf"`` or a `Fusion`;
        by default z-scores in equal parts where there are base scores, else the new score alone.
    weight
        The factor of the new score beside the base score: short for ``WeightedSum(weight)``.
    device, dtype
        Where and in which float type models compute, those of an encoder by name too.
    threads
        Threads of numpy and torch; all cores by default.
    on_error
        When the reranker fails: ``"raise"``, or ``"base_order"``, which keeps the order and says
        why in the trace.
    on_item
        What to do with a candidate that is missing, empty, unreadable, or of another kind than most
        of the others: ``"raise"``; ``"keep"``, by which it stays, in base order, below those that
        were scored, and its trace says why; or ``"drop"``.
    modality
        ``"image"`` if the candidates that are str are pictures (paths, ``file://``, base64),
        ``"text"`` if those that look like pictures are texts.
    cache
        Where features of loose items are kept by content, so that they are encoded once: True for
        memory and, of pictures, the user's cache folder (see ``crossrank cache``); another folder;
        or False.
    progress
        True for bars on standard error, or a callable ``(what, done, total)``.
    **params
        The reranker's parameters.

    Returns
    -------
    Ranking
        Hits with ``id`` (an item's own, a path as text, else its place in `candidates`), ``index``
        (its place in `candidates`, or in `ids` where these are given), scores, ranks and trace.

    Raises
    ------
    CrossrankError
        One clear error for input that cannot be ranked.

    Examples
    --------
    >>> import crossrank as cr
    >>> from pathlib import Path
    >>> best = cr.rerank("a cup of coffee", list(Path("photos").glob("*.jpg")))[0]
    ... # doctest: +SKIP
    >>> gallery = cr.Collection.open("gallery")  # doctest: +SKIP
    >>> cr.rerank("a cup of coffee", gallery, ids=["17.jpg", "4.jpg"])  # doctest: +SKIP
    """
    if isinstance(query, Collection) and len(query) != 1:
        raise InputError(f"rerank: the query is a collection of {len(query)}; use rerank_many")
    rankings = rerank_many(
        query if isinstance(query, Collection) else [query],
        candidates if isinstance(candidates, Collection) else [candidates],
        reranker,
        ids=None if ids is None else [ids],
        encoder=encoder,
        base_scores=None if base_scores is None else [base_scores],
        top_k=top_k,
        score_threshold=score_threshold,
        min_probability=min_probability,
        deadline=deadline,
        fusion=fusion,
        weight=weight,
        device=device,
        dtype=dtype,
        threads=threads,
        on_error=on_error,
        on_item=on_item,
        modality=modality,
        cache=cache,
        progress=progress,
        **params,
    )
    ranking: Ranking = rankings.values()[0]
    return ranking


def rerank_many(
    queries: Sequence[QueryLike] | Collection,
    candidate_lists: Sequence[Sequence[ItemLike]] | Collection,
    reranker: RerankerLike = "filip",
    *,
    ids: Sequence[Ids] | None = None,
    encoder: str | type[Encoder] | Encoder | None = None,
    base_scores: Sequence[BaseScores] | None = None,
    top_k: int | None = None,
    score_threshold: float | None = None,
    min_probability: float | None = None,
    deadline: float | None = None,
    fusion: str | Fusion | None = None,
    weight: float | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    threads: int | None = None,
    on_error: str = "raise",
    on_item: str = "raise",
    modality: str | None = None,
    cache: bool | str | Path = True,
    progress: Progress | bool | None = None,
    **params: Any,
) -> Rankings:
    """Rerank the candidates of many queries; a candidate of several lists is encoded once.

    Parameters
    ----------
    queries
        Queries without an id are called by their place, from ``"0"``; or a `Collection` of them.
    candidate_lists
        One list per query; candidates of the same id or path are the same.  One without an id is
        called by its place in its list, and with several queries by ``"<query>/<place>"``.  Or a
        stored gallery for all queries, see `rerank`.
    ids
        Of a stored gallery: one list of ids or rows per query.
    reranker, encoder, base_scores, top_k, score_threshold, fusion, weight
        As for `rerank`; base scores one list per query.
    min_probability, deadline
        As for `rerank`.
    device, dtype, threads, on_error, on_item, modality, cache, progress, **params
        As for `rerank`.
    """
    stored = candidate_lists if isinstance(candidate_lists, Collection) else None
    options = RunOptions(
        threads=threads, device=device, dtype=dtype, on_error=on_error, progress=progress
    )
    checked("rerank", "on_item", on_item, ON_ITEM)
    checked("rerank", "modality", modality, MODALITY)
    if top_k is not None:
        check_count("rerank", "top_k", top_k)
    pipeline = pipeline_of(reranker, fusion, weight, base_scores is not None, params)
    features = feature_cache(cache)
    maker = encoder_of(encoder, stored, options.device, options.dtype)
    asked = Asked.of(queries, maker)
    if isinstance(candidate_lists, Collection):
        lists = stored_lists(candidate_lists, ids, asked.ids, on_item)
    elif ids is None:
        given = listed("rerank", "candidate lists", candidate_lists)
        lists = loose_lists(given, asked.ids, modality, on_item)
    else:
        raise InputError(
            "rerank: ids choose among the items of a stored gallery; candidates of your own get "
            "theirs as Item(id, text=…) or Item(id, image=…)"
        )
    scores = base_scores_of(base_scores, lists, asked.ids)
    candidates = candidates_of(lists, scores, asked.ids)
    check_fusable(pipeline.stages[0], candidates)
    rankings = None
    if candidates.mask.any():
        kept = KeptEncoder.of(maker, features, options.threads)
        found = Loose.of(lists.items, maker) if stored is None else stored
        needs = needs_of(pipeline, asked, found, candidates)
        if isinstance(found, Collection):
            gallery = found
        else:
            gallery, rest = encode_items(
                kept, lists, found.modality, needs.candidates, on_item, progress
            )
            if rest is not lists:
                lists, candidates = rest, candidates_of(rest, scores, asked.ids)
        if candidates.mask.any():
            rankings = pipeline.rerank(
                candidates,
                asked.encoded(kept, needs.queries, progress),
                gallery,
                top_k=top_k,
                score_threshold=score_threshold,
                min_probability=min_probability,
                deadline=deadline,
                options=options,
            )
    if rankings is None:
        rankings = nothing(candidates, pipeline)
    rankings = with_places(rankings, lists)
    if on_item != "keep":
        return rankings
    return with_left_out(rankings, lists, scores, top_k, score_threshold)
