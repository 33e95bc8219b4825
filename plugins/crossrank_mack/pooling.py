"""From concepts and images to the raw scores of pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.plugin.pairs import runs
from crossrank_mack.similarity import ConceptVectors, best_of_groups, similarities

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
MOST_WORDS = 1 << 18


def mean_over_words(table: Floats, of_text: cr.Ragged, texts: Integers, images: Integers) -> Floats:
    """Return ``[P]``: for each pair the mean over its words of the word's maximum in its image.

    Parameters
    ----------
    table
        ``[N, C]`` maxima per image and concept.
    of_text
        The concepts of each text.
    texts, images
        ``[P]`` the pairs; each text has a concept.
    """
    scores = np.empty(len(texts), np.float32)
    flat, width = table.reshape(-1), table.shape[1]
    lengths = of_text.lengths[texts]
    for part in runs(lengths, MOST_WORDS):
        words = of_text.take(texts[part])
        gathered = flat.take(np.repeat(images[part], words.lengths) * width + words.flat)
        sums = np.add.reduceat(gathered, words.offsets[:-1])
        scores[part] = sums / words.lengths.astype(np.float32)
    return scores


def mean_over_regions(
    regions: Floats, concepts: ConceptVectors, of_text: cr.Ragged, texts: Integers, k_max: int
) -> Floats:
    """Return ``[T]``: for each text the mean over the regions of one image of the best words.

    Parameters
    ----------
    regions
        ``[R, D]`` unit rows, at least one.
    concepts
        What `of_text` counts in.
    of_text
        The concepts of each text.
    texts
        ``[T]`` which texts; each has a concept.
    k_max
        Mean of the k best words of a region.
    """
    scores = np.empty(len(texts), np.float32)
    by_concept = np.ascontiguousarray(similarities(regions, concepts).T)
    for part in runs(of_text.lengths[texts], max(1, MOST_WORDS // len(regions))):
        words = of_text.take(texts[part])
        best = best_of_groups(by_concept[words.flat], words.lengths, k_max)
        scores[part] = best.mean(axis=1)
    return scores
