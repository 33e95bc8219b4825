"""The table of concept × image maxima, computed once per gallery.

Pooling over the regions of an image does not depend on the text, so each pair of a concept and an
image is worked out once; a score is then a gather and a mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.cached_array import cached_array
from crossrank.plugin.pairs import runs
from crossrank_knowledge import KnowledgeBank
from crossrank_knowledge.vectors import region_vectors
from crossrank_mack.parameters import MackParameters
from crossrank_mack.similarity import ConceptVectors, best_of_groups, concept_vectors, similarities

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
    settings = [params.best("t2i"), params.centered, params.adjective, params.prototypes, "pairs"]
    if device is not None:  # other roundings
        settings.append(device)
    key = cr.fingerprint([bank, images.fingerprint(), rows, concepts, settings])

    def fill(table: NDArray[np.float32]) -> None:
        _fill(table, bank, concepts, context, images["regions"], rows, params, device)

    return cached_array("mack", context, key, shape, fill)


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
    with_regions = np.flatnonzero(regions.lengths[rows] > 0)
    for start in range(0, len(concepts), most_concepts):
        part = slice(start, start + most_concepts)
        vectors = concept_vectors(
            bank,
            concepts[part].tolist(),
            adjective=params.adjective,
            center=params.centered,
            pooling=params.prototypes,
        )
        row_bytes = 4 * (4 * bank.size + 4 * len(vectors.unit))
        for chunk in runs(regions.lengths[rows[with_regions]], share // row_bytes):
            places = with_regions[chunk]
            taken = regions.take(rows[places])
            unit = region_vectors(bank, taken.flat, params.centered)
            table[places, part] = best_of_images(
                unit, taken.lengths, vectors, params.best("t2i"), device
            )
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
