"""Tokens and filters of every candidate, computed once per gallery and kept in the cache folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError
from crossrank.plugin.cached_array import cached_array
from crossrank.plugin.pairs import Side, runs
from crossrank_hosa.bases import factorise
from crossrank_hosa.folding import Floats, to_fourier
from crossrank_hosa.parameters import HosaParameters
from crossrank_hosa.vectors import VectorSource

Integers = NDArray[np.int64]
SHARE_OF_BUDGET = 4


@dataclass(frozen=True, slots=True)
class HosaState:
    """What all blocks of a run share.

    Parameters
    ----------
    tables
        Per candidate that occurs ``[R, 1 or 2, D]`` float32: its unit tokens in Fourier coordinates
        and, unless β is 0, its filters.
    place
        Per row of the gallery its place among these.
    device
        The device of torch that scores, None for the processor.
    """

    tables: cr.Ragged
    place: Integers
    device: str | None = None


def prepared(
    context: cr.Context,
    listed: Side,
    source: VectorSource,
    params: HosaParameters,
    device: str | None,
) -> HosaState:
    """Factorise the candidates that occur, or find them in the cache folder.

    On a device of torch, if one is given.  Without a cache folder the tables lie in memory, or in a
    temporary file if they take more than a quarter of the budget.
    """
    gallery, items = listed.collection, listed.rows
    lengths = gallery[source.token_feature(gallery.modality)].lengths[items] + source.extra()
    parts = 1 if params.beta == 0 else 2
    size = source.size(gallery)
    shape = (int(lengths.sum()), parts, size)
    settings = [params.n3, params.ridge, parts, source.digest]
    if device is not None:  # it rounds in its own way, and the processor's bits should stay
        settings.append(device)
    key = cr.fingerprint([gallery.fingerprint(), gallery.modality, items, settings])

    def fill(table: NDArray[np.float32]) -> None:
        _fill(table, context, items, lengths, source, params, device)

    table = cached_array("hosa", context, key, shape, fill)
    return HosaState(cr.Ragged(table, lengths), listed.places, device)


def _fill(
    table: NDArray[np.float32],
    context: cr.Context,
    items: Integers,
    lengths: Integers,
    source: VectorSource,
    params: HosaParameters,
    device: str | None,
) -> None:
    row_bytes = 8 * 8 * table.shape[2]
    at = 0
    for part in runs(lengths, context.memory_budget // SHARE_OF_BUDGET // row_bytes):
        vectors = source.vectors(context.gallery, items[part])
        rows = to_fourier(vectors.flat, params.n3)
        table[at : at + len(rows), 0] = rows
        if table.shape[1] > 1:
            ids = [context.gallery.ids[item] for item in items[part]]
            table[at : at + len(rows), 1] = _filters(
                cr.Ragged(rows, vectors.lengths), ids, params, device
            )
        at += len(rows)
        context.progress("hosa: factorise", part.stop, len(items))


def _filters(
    vectors: cr.Ragged, ids: Sequence[str], params: HosaParameters, device: str | None
) -> Floats:
    """Factorise some candidates; what a device finds singular is tried again here."""
    if device is None:
        filters, left = np.empty_like(vectors.flat), np.ones(len(ids), np.bool_)
    else:
        from crossrank_hosa.device_kernel import factorise_on

        filters, left = factorise_on(device, vectors, params.n3, params.ridge)
    for item in np.flatnonzero(left).tolist():
        own = slice(int(vectors.offsets[item]), int(vectors.offsets[item + 1]))
        try:
            filters[own] = factorise(vectors.flat[own], params.n3, params.ridge)
        except InputError as error:
            raise InputError(f"hosa: candidate {ids[item]!r}: {error}") from error
    return filters
