"""Small splits, teachers and students for the tests of cprd."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import crossrank as cr
from crossrank.testing import make_collection
from crossrank_cprd.mining import TaughtLists
from crossrank_cprd.pairs import Pairs, Side
from crossrank_cprd.student import Student, StudentSizes
from crossrank_cprd.summary import find_anchors
from crossrank_cprd.teacher import teacher_scores
from crossrank_cprd.trainer import Lesson

ANCHORS = 9
PICTURES, CAPTIONS = 12, 2


class Hidden(cr.Reranker):
    """A teacher that knows where everything lies: the inner product of ``truth``."""

    info = cr.RerankerInfo(
        name="hidden",
        summary="inner product of the truth",
        query_features=("truth",),
        candidate_features=("truth",),
    )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return the inner products."""
        found = block.candidates["truth"][block.index]
        return cr.Scores(np.einsum("qd,qkd->qk", block.queries["truth"], found).astype(np.float32))


class Broken(Hidden):
    """A teacher that gives NaN."""

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        """Return NaN in one place."""
        values = super().score(block, state).values.copy()
        values[0, 0] = np.nan
        return cr.Scores(values)


def split(seed: int = 0) -> tuple[cr.Collection, cr.Collection, torch.Tensor]:
    """Return pictures, two captions each, and whose they are."""
    chance = np.random.default_rng(seed)
    images = make_collection("image", PICTURES, seed=seed)
    texts = make_collection("text", PICTURES * CAPTIONS, seed=seed)
    truth = chance.normal(size=(PICTURES, 3)).astype(np.float32)
    owners = torch.arange(PICTURES).repeat_interleave(CAPTIONS)
    return images.with_features(truth=truth), texts.with_features(truth=truth[owners]), owners


def student(seed: int = 0) -> Student:
    """Return a fresh student of the toy splits."""
    torch.manual_seed(seed)
    sizes = StudentSizes(embedding=16, token=16, anchors=ANCHORS, hidden=8)
    return Student(sizes, find_anchors(split()[1], ANCHORS))


def lesson(seed: int = 0) -> Lesson:
    """Return a split with what `Hidden` says of its lists."""
    images, texts, owners = split(seed)
    own = torch.arange(PICTURES)
    taught = []
    for queries, gallery, of, to in (
        (texts, images, owners, own),
        (images, texts, own, owners),
    ):
        lists = cr.search(queries, gallery, depth=10, engine="numpy")
        scores = teacher_scores(Hidden(), lists, queries, gallery)
        taught.append(TaughtLists.of(lists, scores, of, to))
    anchors = student().anchors.numpy()
    pairs = Pairs(Side.of(images, anchors), Side.of(texts, anchors), owners)
    return Lesson(pairs, taught[0], taught[1], fingerprint=f"toy {seed}")
