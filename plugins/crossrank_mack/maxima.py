"""The table of concept × image maxima, computed once per gallery.

Pooling over the regions of an image does not depend on the text, so each pair of a concept and an
image is worked out once; a score is then a gather and a mean.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import StoreError
from crossrank_knowledge import KnowledgeBank
from crossrank_knowledge.vectors import region_vectors
from crossrank_mack.parameters import MackParameters
from crossrank_mack.pooling import runs
from crossrank_mack.similarity import (
    ConceptVectors,
    best_of_groups,
    concept_vectors,
    similarities,
)

SHARE_OF_BUDGET = 4


def maxima(
    bank: KnowledgeBank,
    concepts: NDArray[np.int64],
    context: cr.Context,
    images: cr.Collection,
    rows: NDArray[np.int64],
    params: MackParameters,
    device: str | None = None,
) -> NDArray[np.float32]:
    """Return ``[N, C]``: per image and concept the mean of the `k_max` best regions.

    Parameters
    ----------
    bank, concepts
        ``[C, 2]`` rows of the bank.
    context
        For cache folder, memory budget and progress.
    images, rows
        ``[N]`` rows of the collection; images without a region get zeros.
    params
        See `MackParameters`.
    device
        The device of torch that computes it, None for numpy.

    Returns
    -------
    ndarray
        Memory-mapped from the cache folder; without one in memory, or in a temporary file if it
        takes more than a quarter of the budget.
    """
    shape = (len(rows), len(concepts))
    if context.cache_folder is None:
        table = _scratch(shape, context.memory_budget // SHARE_OF_BUDGET)
        _fill(table, bank, concepts, context, images["regions"], rows, params, device)
        return table
    settings = [params.k_max, params.center, params.adjective, params.prototypes]
    if device is not None:  # other roundings
        settings.append(device)
    key = cr.fingerprint([bank, images.fingerprint(), rows, concepts, settings])
    path = context.cache_folder / f"mack-{key}.npy"
    found = _cached(path, shape)
    if found is not None:
        return found
    try:
        context.cache_folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=context.cache_folder, prefix=f".{path.name}.")
        os.close(handle)
        partial = Path(name)
        try:
            table = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=shape)
            _fill(table, bank, concepts, context, images["regions"], rows, params, device)
            table.flush()
            del table
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"mack: {path} could not be written: {error}") from error
    written = _cached(path, shape)
    if written is None:
        raise StoreError(f"mack: {path} cannot be read back; check the cache folder")
    return written


def _fill(
    table: NDArray[np.float32],
    bank: KnowledgeBank,
    concepts: NDArray[np.int64],
    context: cr.Context,
    regions: cr.Ragged,
    rows: NDArray[np.int64],
    params: MackParameters,
    device: str | None,
) -> None:
    share = context.memory_budget // SHARE_OF_BUDGET
    most_concepts = max(1, share // (8 * bank.size))
    table[:] = 0
    with_regions = np.flatnonzero(regions.lengths[rows] > 0)
    for start in range(0, len(concepts), most_concepts):
        part = slice(start, start + most_concepts)
        vectors = concept_vectors(
            bank,
            concepts[part].tolist(),
            adjective=params.adjective,
            center=params.center,
            pooling=params.prototypes,
        )
        row_bytes = 4 * (4 * bank.size + 4 * len(vectors.unit))
        for chunk in runs(regions.lengths[rows[with_regions]], share // row_bytes):
            places = with_regions[chunk]
            taken = regions.take(rows[places])
            unit = region_vectors(bank, taken.flat, params.center)
            table[places, part] = best_of_images(unit, taken.lengths, vectors, params.k_max, device)
            context.progress("mack: maxima", chunk.stop, len(with_regions))


def best_of_images(
    regions: NDArray[np.float32],
    lengths: NDArray[np.int64],
    concepts: ConceptVectors,
    k: int,
    device: str | None,
) -> NDArray[np.float32]:
    """Return ``[G, C]``: for each image and concept the mean of the k best regions."""
    if device is None:
        return best_of_groups(similarities(regions, concepts), lengths, k)
    from crossrank_mack.device_kernel import best_of_images_on

    return best_of_images_on(device, regions, lengths, concepts, k)


def _scratch(shape: tuple[int, int], most_bytes: int) -> NDArray[np.float32]:
    if 4 * shape[0] * shape[1] <= most_bytes:
        return np.empty(shape, np.float32)
    # the file has no name any more: it goes with the last reference to the array
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=np.float32, mode="w+", shape=shape)


def _cached(path: Path, shape: tuple[int, int]) -> NDArray[Any] | None:
    """Open a table of an earlier run; None if there is none that can be used."""
    if not path.is_file():
        return None
    if 0 in shape:
        return np.zeros(shape, np.float32)
    try:
        table: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError):
        return None
    return table if table.shape == shape and table.dtype == np.float32 else None
