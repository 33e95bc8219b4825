"""MACK's arithmetic on a device of torch, such as a GPU, in exact float32."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

import crossrank as cr
from crossrank.plugin.torch_device import exact_products, in_chunks
from crossrank.plugin.torch_pairs import Items, moved
from crossrank_mack.similarity import ConceptVectors, Floats, Integers


@torch.inference_mode()
def best_of_images_on(
    device: str, regions: Floats, lengths: Integers, concepts: ConceptVectors, k: int
) -> Floats:
    """Return ``[G, C]``: for each image and concept the mean of the k best regions.

    As `best_of_groups` of `similarities`, in chunks that fit the device.

    Parameters
    ----------
    device
        What `crossrank.plugin.torch_device.device_of` returned.
    regions
        ``[ΣL, D]`` unit rows, those of an image together.
    lengths
        ``[G]`` how many each image has, at least 1.
    concepts, k
        As there.

    Raises
    ------
    BudgetError
        If the device has not enough memory for the products of a single image; what the regions
        and the table take is within the run's memory budget.
    """
    vectors, owners = _concepts_on(device, concepts)
    items = Items(cr.Ragged(regions, lengths), device)
    longest_first = np.argsort(-lengths, kind="stable")
    rows = torch.tensor(longest_first, device=device)
    table = torch.empty((len(lengths), len(concepts.starts)), device=device)
    # products, their pooling over prototypes, and the best of these
    costs = lengths[longest_first] * (items.row_bytes + 12 * len(concepts.unit))

    def pool(part: slice) -> None:
        images = items.padded(rows[part], int(lengths[longest_first[part.start]]))
        cosines = pooled(images.rows @ vectors.T, owners, len(concepts.starts), concepts.pooling)
        table[rows[part]] = mean_of_best(cosines, images.lengths, k)

    with exact_products():
        in_chunks("mack", device, costs, pool)
        found: Floats = table.cpu().numpy()
    return found


class TextsOnDevice:
    """The concepts of some texts on a device, to score image after image with them.

    Parameters
    ----------
    device
        What `crossrank.plugin.torch_device.device_of` returned.
    concepts
        What `of_text` counts in.
    of_text
        The concepts of each text.
    k_max
        Mean of the k best words of a region.
    """

    def __init__(
        self, device: str, concepts: ConceptVectors, of_text: cr.Ragged, k_max: int
    ) -> None:
        self.device, self.k_max, self.concepts = device, k_max, concepts
        self.vectors, self.owners = _concepts_on(device, concepts)
        self.words = of_text

    @torch.inference_mode()
    def mean_over_regions(self, regions: Floats, texts: Integers) -> Floats:
        """Return ``[T]``, as `crossrank_mack.pooling.mean_over_regions` does.

        Raises
        ------
        BudgetError
            If the device has not enough memory for the words of a single text.
        """
        lengths = self.words.lengths[texts]
        longest_first = np.argsort(-lengths, kind="stable")
        scores = torch.empty(len(texts), device=self.device)
        count, pooling = len(self.concepts.starts), self.concepts.pooling
        with exact_products():
            cosines = moved(regions, self.device) @ self.vectors.T
            by_concept = pooled(cosines, self.owners, count, pooling).T.contiguous()

            def pool(part: slice) -> None:
                chosen = longest_first[part]
                words = self.words.take(texts[chosen])
                longest = np.minimum(np.arange(words.lengths[0]), words.lengths[:, None] - 1)
                places = torch.tensor(
                    words.flat[words.offsets[:-1, None] + longest], device=self.device
                )
                best = mean_of_best(
                    by_concept[places], torch.tensor(words.lengths, device=self.device), self.k_max
                )
                scores[torch.tensor(chosen, device=self.device)] = best.mean(dim=1)

            in_chunks("mack", self.device, 12 * len(regions) * lengths[longest_first], pool)
            found: Floats = scores.cpu().numpy()
        return found


def pooled(cosines: Tensor, owners: Tensor, count: int, pooling: str) -> Tensor:
    """Return ``[..., C]``: cosines ``[..., P]`` with prototypes, pooled over those of a concept."""
    if count == cosines.shape[-1]:
        return cosines
    table = cosines.new_zeros((*cosines.shape[:-1], count))
    how = "amax" if pooling == "max" else "mean"
    places = owners.expand_as(cosines)
    return table.scatter_reduce(-1, places, cosines, how, include_self=False)


def mean_of_best(values: Tensor, lengths: Tensor, k: int) -> Tensor:
    """Return ``[n, C]``: the mean of the k largest of ``[n, L, C]`` over each item's own rows.

    An item with fewer than k takes all of them; `lengths` says how many it has.
    """
    places = torch.arange(values.shape[1], device=values.device)
    padding = (places >= lengths[:, None])[:, :, None]
    best = values.masked_fill(padding, -torch.inf).topk(min(k, values.shape[1]), dim=1).values
    taken = lengths.clamp(max=k)
    missing = (places[: best.shape[1]] >= taken[:, None])[:, :, None]
    return best.masked_fill(missing, 0).sum(dim=1) / taken[:, None]


def _concepts_on(device: str, concepts: ConceptVectors) -> tuple[Tensor, Tensor]:
    """Return the prototypes ``[P, D]`` on a device, and which concept each belongs to."""
    lengths = np.diff(np.append(concepts.starts, len(concepts.unit)))
    owners = np.repeat(np.arange(len(lengths)), lengths)
    return moved(concepts.unit, device), torch.tensor(owners, device=device)
