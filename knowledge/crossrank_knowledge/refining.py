"""Refining a bank: a linear map trained so that words and regions find back to themselves."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crossrank import Collection, fingerprint
from crossrank.errors import StoreError
from crossrank.plugin.files import beside, refuse_existing
from crossrank_knowledge.bank import KnowledgeBank
from crossrank_knowledge.batches import Batches, RefineOptions
from crossrank_knowledge.checks import finite_regions, same_space
from crossrank_knowledge.store import read_manifest, save_bank
from crossrank_knowledge.training import Training
from crossrank_knowledge.whiten import mapped

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
    same_space("refine", bank, images)
    finite_regions("refine", images)
    recipe = fingerprint([bank, images.fingerprint(), chosen])
    folder = None if out is None else Path(out)
    if folder is not None and folder.exists():
        if (folder / "bank.json").is_file() and read_manifest(folder)["recipe"] == recipe:
            shutil.rmtree(beside(folder, ".partial"), ignore_errors=True)
            return KnowledgeBank.open(folder)
        refuse_existing(folder)

    batches = Batches(bank, images["regions"], chosen)
    training = Training(bank.size, chosen.learning_rate)
    checkpoint = None if folder is None else beside(folder, ".partial") / CHECKPOINT
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
    noted = {"options": asdict(chosen), "accuracies": training.accuracies}
    refined = mapped(bank, training.best, {"refined": noted})
    if folder is None:
        return refined
    save_bank(refined, folder, recipe)
    shutil.rmtree(beside(folder, ".partial"), ignore_errors=True)
    return KnowledgeBank.open(folder)
