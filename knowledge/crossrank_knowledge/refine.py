"""Refining a bank: a linear map trained so that words and regions find back to themselves."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from crossrank import Collection, Ragged, fingerprint
from crossrank.atomic import refuse_existing
from crossrank.errors import FeatureMismatchError, InputError, StoreError
from crossrank_knowledge.bank import KnowledgeBank
from crossrank_knowledge.batches import Batches, RefineOptions
from crossrank_knowledge.store import open_bank, read_manifest, save_bank
from crossrank_knowledge.training import Training

_LOGGER = logging.getLogger(__name__)
CHECKPOINT = "refine.safetensors"


def refine(
    bank: KnowledgeBank,
    images: Collection,
    out: str | Path | None = None,
    *,
    progress: Callable[[str, int, int], None] | None = None,
    **options: Any,
) -> KnowledgeBank:
    """Train MACK's W by region–word cycle consistency and return the mapped bank.

    W starts as the identity and is trained on batches of prototypes and regions that are not
    paired, both as unit rows; the step with the best held-out cycle accuracy is kept.

    Parameters
    ----------
    bank
        What to refine.
    images
        Pictures with ``regions`` of the bank's encoder.
    out
        A new folder for the result; checkpoints lie in ``<out>.partial``, and the same call goes
        on from the last one.
    progress
        Called as ``progress("refine", step, steps)``.
    **options
        See `RefineOptions`.

    Returns
    -------
    KnowledgeBank
        Prototypes and mean mapped by W, W itself as `weight` (`crossrank_mack` maps regions by
        it), `parent` the fingerprint of `bank`, and the accuracies in ``data["refined"]``.

    Raises
    ------
    FeatureMismatchError
        If the regions are not of the bank's space.
    InputError
        If there are too few words or pictures to hold any out.
    """
    chosen = RefineOptions(**options)
    _check(bank, images)
    recipe = fingerprint([bank, images.fingerprint(), chosen])
    folder = None if out is None else Path(out)
    if folder is not None and folder.exists():
        if (folder / "bank.json").is_file() and read_manifest(folder)["recipe"] == recipe:
            shutil.rmtree(_partial(folder), ignore_errors=True)
            return open_bank(folder)
        refuse_existing(folder)

    batches = Batches(bank, images["regions"], chosen)
    training = Training(bank.size, chosen.learning_rate)
    checkpoint = None if folder is None else _partial(folder) / CHECKPOINT
    if checkpoint is not None and checkpoint.is_file() and training.load(checkpoint) != recipe:
        raise StoreError(f"{checkpoint.parent} is another refinement's; remove it to start anew")
    while True:
        if len(training.accuracies) * chosen.every <= training.step:
            training.look(batches.held_out(), chosen.temperature)
            _LOGGER.info(
                "refine: step %d, cycle accuracy %.4f", training.step, training.accuracies[-1]
            )
            if checkpoint is not None:
                training.save(checkpoint, recipe)
        if training.step >= chosen.steps or training.stale(chosen.patience):
            break
        training.advance(batches.batch(training.step), chosen.temperature)
        if progress is not None:
            progress("refine", training.step, chosen.steps)
    refined = _mapped(bank, training, chosen)
    if folder is None:
        return refined
    save_bank(refined, folder, recipe)
    shutil.rmtree(_partial(folder), ignore_errors=True)
    return open_bank(folder)


def _mapped(bank: KnowledgeBank, training: Training, options: RefineOptions) -> KnowledgeBank:
    weight = training.best
    before = np.eye(bank.size, dtype=np.float32) if bank.weight is None else bank.weight
    clusters = bank.clusters
    return KnowledgeBank(
        bank.words,
        bank.prototypes @ weight,
        bank.counts,
        mean=bank.mean @ weight,
        regions=bank.regions,
        clusters=None if clusters is None else Ragged(clusters.flat @ weight, clusters.lengths),
        weight=before @ weight,
        encoder=bank.encoder,
        data={
            **bank.data,
            "refined": {"options": asdict(options), "accuracies": training.accuracies},
        },
        parent=bank.fingerprint(),
    )


def _check(bank: KnowledgeBank, images: Collection) -> None:
    regions = images["regions"]
    if regions.trailing != (bank.size,):
        raise FeatureMismatchError(
            f"refine: the prototypes have {bank.size} dimensions, the regions {regions.trailing}; "
            "encode the images with the encoder of the bank"
        )
    if None not in (bank.encoder, images.encoder) and bank.encoder != images.encoder:
        raise FeatureMismatchError(
            f"refine: the bank was built with {bank.encoder}, the images were encoded with "
            f"{images.encoder}; use one encoder for both"
        )
    if not np.isfinite(regions.flat).all():
        raise InputError("refine: the regions of the images are not all finite")


def _partial(folder: Path) -> Path:
    return folder.with_name(folder.name + ".partial")
