"""Banks: the items whose similarities say how much of a hub a candidate is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError
from crossrank.plugin.parameters import Check

QUERIES = "queries"
FEATURE = "embedding"

Bank: TypeAlias = str | Path | cr.Collection

log = logging.getLogger(__name__)


BANK = Check(
    lambda bank: isinstance(bank, Path | cr.Collection) or (isinstance(bank, str) and bank != ""),
    "a Collection, the folder of one, or 'queries'",
)
GALLERY_BANK = Check(
    lambda bank: bank is None or (BANK.accepts(bank) and bank != QUERIES),
    "a Collection of candidates, the folder of one, or None for the gallery itself",
)


def opened(bank: Bank | None) -> cr.Collection | None:
    """Return the collection of a bank; None for the run's own queries, or for no bank."""
    if isinstance(bank, cr.Collection):
        return bank
    return None if bank is None or bank == QUERIES else cr.Collection.open(bank)


def check_encoder(who: str, bank: cr.Collection, side: cr.Collection, name: str) -> None:
    """Refuse a bank that is empty or of another encoder."""
    if not len(bank):
        raise InputError(f"{who}: {name} has no item; a bank holds at least one")
    if None not in (bank.encoder, side.encoder) and bank.encoder != side.encoder:
        raise FeatureMismatchError(
            f"{who}: {name} was encoded with {bank.encoder}, the {side.modality}s of the run with "
            f"{side.encoder}; encode both with the same encoder"
        )


def check_scored_bank(
    who: str, bank: cr.Collection, queries: cr.Collection, asked: NDArray[np.int64]
) -> None:
    """Refuse a bank that stages cannot score as the run's queries; tell queries that are in it.

    Raises
    ------
    InputError
        If it is empty, of another modality, or its embeddings, where it has any, are not finite.
    FeatureMismatchError
        If it is of another encoder, or its embeddings of another size.
    """
    check_encoder(who, bank, queries, "the bank")
    if bank.modality != queries.modality:
        raise InputError(
            f"{who}: the bank holds {bank.modality}s where the run's queries are "
            f"{queries.modality}s; give a bank of {queries.modality}s"
        )
    if FEATURE in bank and FEATURE in queries:
        rows = vectors(who, bank, queries, "the bank")
        own = queries.take(asked, [FEATURE])[FEATURE]
        tell_shared(who, rows, np.ascontiguousarray(own, np.float32))


def vectors(who: str, bank: cr.Collection, side: cr.Collection, name: str) -> NDArray[np.float32]:
    """Return ``[m, D]`` the embeddings of a bank that can stand for one side of a run.

    Parameters
    ----------
    who, name
        The reranker and its parameter, for errors.
    bank
        The collection.
    side
        The queries or the gallery of the run.

    Raises
    ------
    InputError
        If it is empty or an embedding is not finite.
    FeatureMismatchError
        If it is of another encoder, or its embeddings of another size.
    """
    found = np.asarray(bank[FEATURE])
    check_encoder(who, bank, side, name)
    size = np.shape(side[FEATURE])[1:]
    if len(side) and found.shape[1:] != size:
        raise FeatureMismatchError(
            f"{who}: the embeddings of {name} have size {found.shape[1:]}, those of the run "
            f"{size}; encode both with the same encoder"
        )
    rows = np.ascontiguousarray(found, np.float32)
    wrong = ~np.isfinite(rows).all(axis=1)
    if wrong.any():
        raise InputError(
            f"{who}: the embedding of {bank.ids[int(np.argmax(wrong))]!r} in {name} is not finite; "
            "encode it again or leave it out"
        )
    if bank.modality != side.modality:
        log.warning(
            "%s: %s holds %ss where the run has %ss; it should hold the same kind",
            who,
            name,
            bank.modality,
            side.modality,
        )
    _tell_oddities(who, name, rows)
    return rows


def tell_shared(who: str, bank: NDArray[np.float32], queries: NDArray[np.float32]) -> None:
    """Warn of queries that stand in the bank: such a run looks at what it is measured on."""
    asked = {row.tobytes() for row in queries}
    shared = len(asked & {row.tobytes() for row in bank})
    if shared:
        log.warning(
            "%s: %d of the run's %d queries stand in the bank too; results on them are not those "
            "of queries that nobody has seen",
            who,
            shared,
            len(queries),
        )


def _tell_oddities(who: str, name: str, rows: NDArray[np.float32]) -> None:
    zeros = int((~rows.any(axis=1)).sum())
    if zeros:
        log.warning("%s: %d of the %d items of %s are zero", who, zeros, len(rows), name)
    twice = len(rows) - len({row.tobytes() for row in rows})
    if twice:
        log.warning(
            "%s: %d of the %d items of %s repeat another one; they count as often as they stand",
            who,
            twice,
            len(rows),
            name,
        )
