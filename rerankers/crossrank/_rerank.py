"""The drop-in call: a query and its candidates in, a better list out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrank._encode import encode
from crossrank._items.collection import Collection
from crossrank._items.compose import compose
from crossrank._items.item import Item, ItemLike, as_item, as_parts
from crossrank._lists.candidates import Candidates
from crossrank._lists.fusion import Fusion, Replace, WeightedSum
from crossrank._lists.rankings import Ranking, Rankings
from crossrank._pipeline import Pipeline
from crossrank._stage import Stage
from crossrank.errors import DuplicateIdError, InputError
from crossrank.plugin.contract import Context, Encoder, Progress, Reranker
from crossrank.plugin.encoders import as_encoder

QueryLike = ItemLike | Sequence[ItemLike]
BaseScores = Sequence[float] | NDArray[np.floating[Any]]
RerankerLike = str | type[Reranker] | Reranker | Pipeline


def rerank(
    query: QueryLike,
    candidates: Sequence[ItemLike],
    reranker: RerankerLike = "filip",
    *,
    encoder: str | Encoder = "lite",
    base_scores: BaseScores | None = None,
    top_k: int | None = None,
    score_threshold: float | None = None,
    fusion: Fusion | None = None,
    **params: Any,
) -> Ranking:
    """Rerank the candidates of one query.

    Parameters
    ----------
    query
        A text (str), a picture (`Path` or PIL image), an `Item`, or a sequence of these.  A picture
        with a text (``[picture, "but at night"]``, or an `Item` of both) is encoded as one where
        the encoder knows both at once; else the parts' features are put together.
    candidates
        Likewise, all of one kind: texts, pictures, or `Item` with both for an encoder that knows
        them; in base order where there are no base scores.
    reranker
        The name of an installed reranker, a class, an object, or a whole `Pipeline`.
    encoder
        What turns them into features; loaded once and kept between calls.
    base_scores
        What the base matcher said of each candidate, higher is better.
    top_k
        How many to return; all by default.
    score_threshold
        The lowest final score to return, inclusive.
    fusion
        How base and new scores are joined: by default z-scores in equal parts where there are base
        scores, else the new score alone.
    **params
        The reranker's parameters.

    Returns
    -------
    Ranking
        Hits with ``id`` (an item's own, a path as text, else its place in `candidates`), ``index``
        (its place), scores, ranks and trace.

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
    """
    rankings = rerank_many(
        [query],
        [candidates],
        reranker,
        encoder=encoder,
        base_scores=None if base_scores is None else [base_scores],
        top_k=top_k,
        score_threshold=score_threshold,
        fusion=fusion,
        **params,
    )
    ranking: Ranking = rankings.values()[0]
    return ranking


def rerank_many(
    queries: Sequence[QueryLike],
    candidate_lists: Sequence[Sequence[ItemLike]],
    reranker: RerankerLike = "filip",
    *,
    encoder: str | Encoder = "lite",
    base_scores: Sequence[BaseScores] | None = None,
    top_k: int | None = None,
    score_threshold: float | None = None,
    fusion: Fusion | None = None,
    progress: Progress | bool | None = None,
    **params: Any,
) -> Rankings:
    """Rerank the candidates of many queries; a candidate of several lists is encoded once.

    Parameters
    ----------
    queries
        Queries without an id are called by their place, from ``"0"``.
    candidate_lists
        One list per query; candidates of the same id or path are the same.  One without an id is
        called by its place in its list, and with several queries by ``"<query>/<place>"``.
    reranker, encoder, base_scores, top_k, score_threshold, fusion, **params
        As for `rerank`; base scores one list per query.
    progress
        True for bars on standard error, or a callable ``(what, done, total)``.
    """
    maker = _shared(encoder) if isinstance(encoder, str) else encoder
    asked = [_parts(query, maker) for query in queries]
    if len(candidate_lists) != len(asked):
        raise InputError(f"rerank: {len(asked)} queries, but {len(candidate_lists)} lists")
    for values in candidate_lists:
        if isinstance(values, str | bytes):
            raise InputError(
                f"rerank: the candidates are one text, {values[:40]!r}; give a list of candidates"
            )
        if isinstance(values, Mapping) or hasattr(values, "columns"):
            raise InputError(
                f"rerank: the candidates are a {type(values).__name__}, of which the keys would be "
                "ranked; give a list: list(found.values()), or list(frame['text']) of a table"
            )
        if not isinstance(values, Iterable):
            raise InputError(
                f"rerank: the candidates are {values!r:.60}; give a list of candidates"
            )
    if base_scores is not None and len(base_scores) != len(asked):
        raise InputError(f"rerank: {len(asked)} queries, but {len(base_scores)} lists of scores")
    pipeline = _pipeline(reranker, fusion, base_scores is not None, params)
    query_ids = [
        next((part.id for part in parts if part.id is not None), str(place))
        for place, parts in enumerate(asked)
    ]
    members = [
        [_named(as_item(value), place, query, len(asked) > 1) for place, value in enumerate(values)]
        for query, values in zip(query_ids, candidate_lists, strict=True)
    ]
    distinct = _distinct(member for each in members for member in each)
    candidates = Candidates.from_lists(
        [[member.id for member in each] for each in members],
        scores=base_scores,
        query_ids=query_ids,
        candidate_ids=list(distinct),
    )
    if not distinct:
        return _nothing(candidates)
    encoded_queries, gallery = _encoded(
        pipeline, maker, query_ids, asked, list(distinct.values()), candidates, progress
    )
    return pipeline.rerank(
        candidates,
        encoded_queries,
        gallery,
        top_k=top_k,
        score_threshold=score_threshold,
        progress=progress,
    )


def _pipeline(
    reranker: RerankerLike, fusion: Fusion | None, scored: bool, params: dict[str, Any]
) -> Pipeline:
    if isinstance(reranker, Pipeline):
        if params or fusion is not None:
            raise InputError("rerank: a Pipeline brings its own parameters and fusion")
        return reranker
    rule = fusion
    if rule is None:
        rule = WeightedSum() if scored else Replace()
    return Pipeline([Stage(reranker, fusion=rule, params=params)])


def _named(item: Item, place: int, query: str, several: bool) -> Item:
    if item.id is not None:
        return item
    name = f"{query}/{place}" if several else str(place)
    return Item(name, item.text, item.image, **item.features)


def _distinct(items: Iterable[Item]) -> dict[str, Item]:
    distinct: dict[str, Item] = {}
    for item in items:
        id = str(item.id)
        other = distinct.setdefault(id, item)
        if (other.text, other.image) != (item.text, item.image):
            raise DuplicateIdError(f"rerank: two different candidates have the id {id!r}")
    return distinct


def _encoded(
    pipeline: Pipeline,
    encoder: Encoder,
    query_ids: Sequence[str],
    asked: Sequence[tuple[Item, ...]],
    items: Sequence[Item],
    candidates: Candidates,
    progress: Progress | bool | None,
) -> tuple[Collection, Collection]:
    """Encode both sides with the features that the stages need."""
    sides = ["+".join(_kinds([part for parts in asked for part in parts]))]
    sides.append(_one_kind(items, encoder))
    bare = [
        _bare(query_ids, sides[0], [parts[0] for parts in asked]),
        _bare([str(item.id) for item in items], sides[1], items),
    ]
    context = Context(bare[0], bare[1], candidates, candidates.check_direction(sides[0], sides[1]))
    needs = [stage.scorer.needs(context) for stage in pipeline.stages]
    for_queries = tuple(dict.fromkeys(name for need in needs for name in need.queries))
    for_gallery = tuple(dict.fromkeys(name for need in needs for name in need.candidates))
    gallery = encode(encoder, items, sides[1], for_gallery, progress=progress)
    return _encode_queries(encoder, query_ids, asked, for_queries, progress), gallery


def _encode_queries(
    encoder: Encoder,
    query_ids: Sequence[str],
    asked: Sequence[tuple[Item, ...]],
    features: Sequence[str],
    progress: Progress | bool | None,
) -> Collection:
    parts = [part for own in asked for part in own]
    numbered = [Item(str(n), p.text, p.image, **p.features) for n, p in enumerate(parts)]
    where: dict[int, tuple[Collection, int]] = {}
    for modality in ("image", "image+text", "text"):
        rows = [n for n, part in enumerate(parts) if (part.modality or "image") == modality]
        if rows:
            made = encode(
                encoder, [numbered[n] for n in rows], modality, features, progress=progress
            )
            where.update((n, (made, place)) for place, n in enumerate(rows))
    if all(len(own) == 1 for own in asked) and len({id(made) for made, _ in where.values()}) == 1:
        only = where[0][0]
        return Collection(
            query_ids,
            only.modality,
            encoder=only.encoder,
            **{name: only[name] for name in only.features},
        )
    ends = np.cumsum([len(own) for own in asked])
    owners = [range(end - len(own), end) for end, own in zip(ends, asked, strict=True)]
    return compose([where[n] for n in range(len(parts))], owners, query_ids)


def _parts(query: QueryLike, encoder: Encoder) -> tuple[Item, ...]:
    """Return a query's items: a picture with a text is one where the encoder knows both at once."""
    items = as_parts(query)
    pictures = [item for item in items if item.image is not None]
    texts = [item for item in items if item.text is not None]
    if encoder.info.features.get("image+text") and len(pictures) == len(texts) == 1:
        id = next((item.id for item in (*texts, *pictures) if item.id is not None), None)
        known = {**pictures[0].features, **texts[0].features} if len(items) == 1 else {}
        return (Item(id, texts[0].text, pictures[0].image, **known),)
    split = []
    for item in items:
        if item.modality == "image+text":
            split += [Item(item.id, image=item.image), Item(item.id, item.text)]
        else:
            split.append(item)
    return tuple(split)


def _kinds(items: Sequence[Item]) -> list[str]:
    return sorted({kind for item in items for kind in (item.modality or "image").split("+")})


def _one_kind(items: Sequence[Item], encoder: Encoder) -> str:
    found = {item.modality or "image" for item in items}
    if len(found) > 1:
        raise InputError(
            f"rerank: the candidates mix {', '.join(sorted(found))}; give candidates of one kind"
        )
    (kind,) = found
    if kind == "image+text" and not encoder.info.features.get(kind):
        raise InputError(
            f"rerank: candidates with both text and image are ambiguous for the encoder "
            f"{encoder.info.name!r}, which knows one of them at a time; give one of them, or an "
            "encoder that knows both, such as 'composed' or 'vista'"
        )
    return kind


def _bare(ids: Sequence[str], modality: str, items: Sequence[Item]) -> Collection:
    """Make a collection of what is known before encoding, to ask the stages what they need."""
    shared = set.intersection(*(set(item.features) for item in items))
    features: dict[str, Any] = {name: tuple(i.features[name] for i in items) for name in shared}
    if all(item.text is not None for item in items):
        features["text"] = tuple(item.text for item in items)
    return Collection(ids, modality, **features)


def _nothing(candidates: Candidates) -> Rankings:
    empty = np.zeros(candidates.index.shape)
    return Rankings(
        query_ids=candidates.query_ids,
        candidate_ids=candidates.candidate_ids,
        index=candidates.index,
        final=empty,
        mask=candidates.mask,
        base_scores=candidates.scores,
        base_ranks=candidates.index,
    )


@lru_cache(maxsize=4)
def _shared(encoder: str) -> Encoder:
    """Keep encoders between calls: loading their weights takes longer than using them."""
    return as_encoder(encoder, {})
