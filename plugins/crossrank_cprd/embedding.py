"""A student applied to collections."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError
from crossrank_cprd.saving import Card
from crossrank_cprd.student import Student
from crossrank_cprd.summary import summaries

CHUNK = 1024


@torch.inference_mode()
def embed(
    student: Student, card: Card, items: cr.Collection, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """Return the student's embeddings ``[N, D]``, unit rows.

    Parameters
    ----------
    student, card
        See `load_student` and `load_card`.
    items
        Images or texts with the features the card names; read in chunks.
    rows
        Which items; all by default.

    Raises
    ------
    FeatureMismatchError
        If a feature has another size than the student was trained on.
    """
    tower = student.image if items.modality == "image" else student.text
    features = card.parts(items.modality)
    chosen = np.arange(len(items)) if rows is None else rows
    made = np.zeros((len(chosen), student.sizes.embedding), np.float32)
    if len(chosen):
        _check(student, card, items)
    for start in range(0, len(chosen), CHUNK):
        part = chosen[start : start + CHUNK]
        embedding = torch.from_numpy(np.asarray(items["embedding"][part], np.float32))
        summary = torch.from_numpy(summaries(items, features, part))
        found = tower(embedding, tower.standardise(summary))
        made[start : start + len(part)] = found.numpy()
    return made


def as_base(student: Student, card: Card, items: cr.Collection) -> cr.Collection:
    """Return the items with the student's embeddings in place of the encoder's.

    For `crossrank.search`: a distilled student costs a search nothing.
    """
    return items.with_features(embedding=embed(student, card, items))


def _check(student: Student, card: Card, items: cr.Collection) -> None:
    sizes = student.sizes
    parts = card.parts(items.modality)
    found = (
        items["embedding"].shape[1],
        sum(2 * int(items[name].trailing[0]) for name in parts),
    )
    wanted = (sizes.embedding, sizes.image if items.modality == "image" else sizes.text)
    if found != wanted:
        raise FeatureMismatchError(
            f"cprd: the {items.modality}s have embeddings of {found[0]} and summaries of "
            f"{found[1]} numbers ({', '.join(parts)}), the student was trained on {wanted[0]} and "
            f"{wanted[1]}; encode them with the encoder it was trained on"
        )
