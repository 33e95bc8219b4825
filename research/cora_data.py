"""What `train_cora.py` reads: raw cells, parsed captions, phrase vectors and who shows what."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossrank_cora.packed import PackedGraphs, Phrases, pack
from crossrank_cora.phrases import phrase_vectors
from crossrank_graphs import Graph
from itm_data import CropView

Integers = NDArray[np.int64]
CAPTIONS = 5
MOST_ATTRIBUTES = 6
"""What an object is known by besides its name: 2^n subsets of n attributes are looked up."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The captions of a split as graphs, and its pictures.

    Parameters
    ----------
    cells
        ``[N, R, region]`` float16: raw grid cells, on disk.
    crops
        Further views of the pictures: cells of random crops, half of them mirrored.
    graphs
        The 5 · N captions, picture after picture.
    entities
        ``[O]``: the number of each object's entity, which is its name with its set of attributes.
    shown
        Sorted codes ``picture · count + entity``: which picture shows which entity.
    count
        How many entities there are.
    changed
        Graphs that describe no picture, made from the captions.
    changed_from
        ``[5 · N + 1]``: where the changed graphs of each caption begin.
    vectors
        ``[P, phrase]`` of the distinct phrases.
    """

    cells: NDArray[np.float16]
    crops: Sequence[CropView | NDArray[np.float16]]
    graphs: PackedGraphs
    entities: Integers
    shown: Integers
    count: int
    changed: PackedGraphs
    changed_from: Integers
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.cells)

    @classmethod
    def of(
        cls,
        cells: NDArray[np.float16],
        graphs: Sequence[Graph],
        change: Callable[[Graph], Sequence[Graph]] | None = None,
        crops: Sequence[CropView | NDArray[np.float16]] = (),
    ) -> TrainingSet:
        """Pack what is known of a split.

        Parameters
        ----------
        cells, graphs
            Of its pictures and captions.
        change
            Returns false captions of a graph; none by default.
        crops
            Further views of the pictures.
        """
        phrases = Phrases()
        changed = [[] if change is None else list(change(graph)) for graph in graphs]
        packed = pack(graphs, phrases)
        packed_changed = pack([each for some in changed for each in some], phrases)
        entities, shown, count = who_shows_what(graphs)
        return cls(
            cells,
            crops,
            packed,
            entities,
            shown,
            count,
            packed_changed,
            np.cumsum([0, *map(len, changed)]),
            phrase_vectors(list(phrases.rows)),
        )

    def seen(self, pictures: Tensor, chosen: Tensor) -> Tensor:
        """Return ``[B, C, region]``: some cells of pictures, of each in a view drawn by chance."""
        rows, places = pictures.numpy(), chosen.numpy()
        if not self.crops:
            return torch.from_numpy(self.cells[rows[:, None], places]).float()
        views = [self.cells, *self.crops]
        drawn = torch.randint(len(views), (len(rows),)).tolist()
        cells = [views[view][row][places] for view, row in zip(drawn, rows.tolist(), strict=True)]
        return torch.from_numpy(np.stack(cells)).float()

    def shows(self, pictures: Integers, entities: Integers) -> NDArray[np.bool_]:
        """Return ``[B, E]``: whether a picture's captions name an entity, or one with more."""
        codes = pictures[:, None] * self.count + entities
        places = np.minimum(np.searchsorted(self.shown, codes), len(self.shown) - 1)
        found: NDArray[np.bool_] = self.shown[places] == codes
        return found


def who_shows_what(graphs: Sequence[Graph]) -> tuple[Integers, Integers, int]:
    """Return the entity of each object, the sorted codes of what pictures show, and the count.

    A picture shows an entity if one of its captions has an object of that name with at least these
    attributes.
    """
    numbers: dict[tuple[str, frozenset[str]], int] = {}
    entities = []
    for graph in graphs:
        for each in graph.objects:
            key = each.name, frozenset(each.attributes)
            entities.append(numbers.setdefault(key, len(numbers)))
    shown: dict[int, set[int]] = defaultdict(set)
    for row, graph in enumerate(graphs):
        for each in graph.objects:
            words = sorted(set(each.attributes))
            known = shown[row // CAPTIONS]
            known.add(numbers[each.name, frozenset(words)])
            words = words[:MOST_ATTRIBUTES]
            for size in range(len(words) + 1):
                for some in itertools.combinations(words, size):
                    if (key := (each.name, frozenset(some))) in numbers:
                        known.add(numbers[key])
    codes = [row * len(numbers) + entity for row, known in shown.items() for entity in known]
    return np.array(entities, np.int64), np.array(sorted(codes), np.int64), len(numbers)
