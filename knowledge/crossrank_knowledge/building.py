"""Building a bank in one pass: running sums, checkpoints, and the same bits after a kill."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank import fingerprint
from crossrank.errors import InputError, StoreError
from crossrank.plugin.files import beside, disk_errors, refuse_existing
from crossrank_knowledge.store import MANIFEST, read_manifest
from crossrank_knowledge.sums import RunningSums
from crossrank_knowledge.tokens import label_tokens

_LOGGER = logging.getLogger(__name__)
CHECKPOINT = "sums.safetensors"

LabelledFeature = tuple[str, ArrayLike]


@runtime_checkable
class Source(Protocol):
    """A stream that can start in the middle, and knows what it is made of."""

    encoder: str | None

    def fingerprint(self) -> str:
        """Return a digest of where the items come from."""

    def from_item(self, start: int) -> Iterator[LabelledFeature]:
        """Yield the items from a place on, without computing those before it."""


def summed(
    stream: Iterable[LabelledFeature] | Source,
    folder: Path | None,
    *,
    encoder: str | None,
    data: dict[str, Any] | None,
    lemma: Callable[[str], str] | None,
    min_count: int,
    not_finite: Literal["refuse", "skip"],
    checkpoint_every: int,
    progress: Callable[[str, int, int], None] | None,
) -> tuple[dict[str, Any], str] | None:
    """Add up a stream for `KnowledgeBank.build`, which says what the options mean.

    Returns
    -------
    tuple or None
        What `KnowledgeBank` is made of, and the recipe to save it with; None if the folder holds
        the bank already.
    """
    if not_finite not in ("refuse", "skip"):
        raise InputError(f"build: not_finite is {not_finite!r:.80}; give 'refuse' or 'skip'")
    maker = stream.encoder if encoder is None and isinstance(stream, Source) else encoder
    origin = stream.fingerprint() if isinstance(stream, Source) else None
    recipe = fingerprint([origin, maker, data, lemma is not None, min_count, not_finite])
    if folder is not None and _finished(folder, recipe, stream):
        return None

    sums = RunningSums()
    checkpoint = None if folder is None else beside(folder, ".partial") / CHECKPOINT
    if checkpoint is not None and checkpoint.is_file():
        sums = _resumed(checkpoint, recipe)
    for label, feature in _rest(stream, sums):
        _take(sums, label, feature, lemma, not_finite)
        if sums.items % checkpoint_every == 0:
            if checkpoint is not None:
                with disk_errors(checkpoint):
                    checkpoint.parent.mkdir(parents=True, exist_ok=True)
                sums.save(checkpoint, recipe)
            if progress is not None:
                progress("build", sums.items, 0)
    if sums.skipped:
        _LOGGER.warning("build: skipped %d features that are not finite", sums.skipped)
    return _columns(sums, maker, data, min_count), f"{recipe}:{_seen(sums)}"


def forget_sums(folder: Path) -> None:
    """Remove what `summed` kept of a bank that lies in its folder now."""
    shutil.rmtree(beside(folder, ".partial"), ignore_errors=True)


def _take(
    sums: RunningSums,
    label: str,
    feature: ArrayLike,
    lemma: Callable[[str], str] | None,
    not_finite: str,
) -> None:
    """Add one item, or say which one cannot be."""
    try:
        words = label_tokens(label)
        vector: NDArray[np.float64] = np.asarray(feature, np.float64)
    except (InputError, ValueError, TypeError) as error:
        raise InputError(f"build: item {sums.items}: {error}") from error
    number = sums.items
    sums.witness(label, feature)
    if vector.ndim != 1 or len(vector) == 0:
        raise InputError(
            f"build: item {number} ({label!r}) has a feature of shape {vector.shape}; give [D]"
        )
    if not np.isfinite(vector).all():
        if not_finite == "refuse":
            raise InputError(
                f"build: item {number} ({label!r}) has a feature that is not finite; leave it out, "
                "or say not_finite='skip'"
            )
        _LOGGER.info("build: item %d (%r) is not finite, skipped", number, label)
        sums.skipped += 1
        return
    try:
        sums.add(words if lemma is None else [lemma(word) for word in words], vector)
    except InputError as error:
        raise InputError(f"build: item {number} ({label!r}): {error}") from error


def _rest(stream: Iterable[LabelledFeature] | Source, sums: RunningSums) -> Iterator[Any]:
    """Return the items that are not in the sums yet."""
    if isinstance(stream, Source):
        return stream.from_item(sums.items)
    items = iter(stream)
    if sums.items and _seen(_witnessed(items, sums.items)) != _seen(sums):
        raise StoreError(
            "build: the stream differs from the one that the checkpoint was made from; give "
            "the same items again, or remove the folder <out>.partial to start anew"
        )
    return items


def _columns(
    sums: RunningSums, encoder: str | None, data: dict[str, Any] | None, min_count: int
) -> dict[str, Any]:
    counts = sums.counts
    keep = np.flatnonzero(counts >= min_count)
    if not len(keep):
        raise InputError(
            f"build: no word is carried by {min_count} or more of {sums.regions} regions, so the "
            "bank would be empty; check the labels"
        )
    words = list(sums.rows)
    prototypes, spread = sums.prototypes(), sums.spread()
    if len(keep) < len(words):
        prototypes, spread = prototypes[keep], spread[keep]
    return {
        "words": [words[row] for row in keep],
        "prototypes": prototypes,
        "counts": counts[keep],
        "spread": spread,
        "mean": sums.mean(),
        "regions": sums.regions,
        "encoder": encoder,
        "data": data,
    }


def _finished(folder: Path, recipe: str, stream: Iterable[LabelledFeature] | Source) -> bool:
    """Tell whether this very build ended here before; refuse any other folder."""
    if not folder.exists():
        return False
    made_by = read_manifest(folder)["recipe"] if (folder / MANIFEST).is_file() else None
    same_recipe, _, seen = (made_by or "").partition(":")
    if same_recipe == recipe and (isinstance(stream, Source) or seen == _seen(_witnessed(stream))):
        # it may have been killed after the bank appeared and before its sums were removed
        forget_sums(folder)
        return True
    refuse_existing(folder)
    return False


def _witnessed(items: Iterable[LabelledFeature], most: int | None = None) -> RunningSums:
    """Return sums that have seen the first `most` items, or all, without adding them up."""
    seen = RunningSums()
    for label, feature in islice(items, most):
        seen.witness(label, feature)
    return seen


def _seen(sums: RunningSums) -> str:
    return f"{sums.items}:{sums.digest}"


def _resumed(checkpoint: Path, recipe: str) -> RunningSums:
    sums, made_by = RunningSums.load(checkpoint)
    if made_by != recipe:
        raise StoreError(
            f"{checkpoint.parent} belongs to a build of other data or options; remove it to start "
            "anew, or choose another name"
        )
    _LOGGER.info("build: going on from item %d", sums.items)
    return sums
