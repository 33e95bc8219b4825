"""A student applied to collections."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError
from crossrank.plugin.cached_array import scratch_array
from crossrank.plugin.torch_device import exact_products
from crossrank_cprd.student import Student
from crossrank_cprd.summary import summaries

CHUNK = 1024
"""The most items that are read at a time."""
SHARE_OF_BUDGET = 4


@torch.inference_mode()
def embed(
    student: Student,
    items: cr.Collection,
    rows: NDArray[np.int64] | None = None,
    memory_budget: int | None = None,
) -> NDArray[np.float32]:
    """Return the student's embeddings ``[N, D]``, unit rows.

    Parameters
    ----------
    student
        See `crossrank_cprd.saving.load_student`; on any device of torch.
    items
        Images or texts with ``embedding`` and ``tokens``; read in chunks.
    rows
        Which items; all by default.
    memory_budget
        What takes more than a quarter of it lies in a temporary file, and so much is read at a
        time; None for all in memory.

    Raises
    ------
    FeatureMismatchError
        If a feature has another size than the student was trained on.
    """
    tower = student.image if items.modality == "image" else student.text
    device, anchors = student.anchors.device, student.anchors.cpu().numpy()
    chosen = np.arange(len(items)) if rows is None else rows
    shape, step = (len(chosen), student.sizes.embedding), CHUNK
    if len(chosen):
        _check(student, items)
    if memory_budget is None:
        made = np.zeros(shape, np.float32)
    else:
        share = memory_budget // SHARE_OF_BUDGET
        made = scratch_array(shape, share)
        step = max(1, min(CHUNK, share // _bytes_of_an_item(items, len(anchors))))
    for start in range(0, len(chosen), step):
        part = chosen[start : start + step]
        embedding = torch.from_numpy(np.asarray(items["embedding"][part], np.float32))
        summary = torch.from_numpy(summaries(items, anchors, part)).to(device)
        with exact_products():
            found = tower(embedding.to(device), tower.standardise(summary))
        made[start : start + len(part)] = found.cpu().numpy()
    return made


def _bytes_of_an_item(items: cr.Collection, anchors: int) -> int:
    """Return what the largest item takes: its tokens and their products with the anchors."""
    tokens = items["tokens"]
    numbers = int(tokens.lengths.max()) * (int(np.prod(tokens.trailing)) + anchors)
    return 4 * (numbers + int(items["embedding"].shape[1]))


def as_base(student: Student, items: cr.Collection) -> cr.Collection:
    """Return the items with the student's embeddings in place of the encoder's.

    For `crossrank.search`: a distilled student costs a search nothing.
    """
    return items.with_features(embedding=embed(student, items))


def _check(student: Student, items: cr.Collection) -> None:
    found = (items["embedding"].shape[1], int(items["tokens"].trailing[0]))
    wanted = (student.sizes.embedding, student.sizes.token)
    if found != wanted:
        raise FeatureMismatchError(
            f"cprd: the {items.modality}s have embeddings of {found[0]} and tokens of {found[1]} "
            f"numbers, the student was trained on {wanted[0]} and {wanted[1]}; encode them with "
            "the encoder it was trained on"
        )
