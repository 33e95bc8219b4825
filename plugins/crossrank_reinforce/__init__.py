"""Reinforced data sets: augmentations and variants once, with the embeddings of teachers.

A store keeps, per picture, the seeds of n augmentations and, per text, m variants, each with what
an ensemble of teachers makes of it (float16); students are trained on it as often as one likes
without asking a teacher again (MobileCLIP, CVPR 2024).  Importing this package imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names, needs

if TYPE_CHECKING:
    from crossrank_reinforce.augmentation import Crop, seed_of
    from crossrank_reinforce.build import reinforce
    from crossrank_reinforce.losses import clip_loss, distillation_loss, reinforced_loss
    from crossrank_reinforce.pairs import Pairs, read_pairs
    from crossrank_reinforce.store import Store, Targets
    from crossrank_reinforce.teachers import SEED
    from crossrank_reinforce.variants import without_words

__all__ = [
    "SEED",
    "Crop",
    "Pairs",
    "Store",
    "Targets",
    "clip_loss",
    "distillation_loss",
    "read_pairs",
    "reinforce",
    "reinforced_loss",
    "seed_of",
    "without_words",
]

__getattr__ = lazy_names(__name__, guard=needs("reinforced training", "filip", "torch"))
