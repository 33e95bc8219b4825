"""Making a store: every teacher over every augmentation and variant, once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.errors import InputError, StoreError
from crossrank.plugin.encoders import as_encoder
from crossrank.plugin.files import atomic_bytes, beside, disk_errors
from crossrank_reinforce.augmentation import Augmentation, Crop, seed_of
from crossrank_reinforce.pairs import Pairs
from crossrank_reinforce.store import FORMAT, MANIFEST, Store, difference, read_plan, teachers_plan
from crossrank_reinforce.teachers import SEED, AugmentedEncoder, check_teacher
from crossrank_reinforce.variants import Given, Making, variants_of, without_words

SCALE = 100.0
DTYPE = "float16"
OWN = "own"
Teacher = str | type[cr.Encoder] | cr.Encoder


def reinforce(
    pairs: Pairs,
    teachers: Teacher | Sequence[Teacher],
    out: str | Path,
    *,
    views: int = 2,
    variants: int = 1,
    given: Given | None = None,
    make: Making = without_words,
    augmentation: Augmentation | str | None = None,
    scales: float | Sequence[float] = SCALE,
    also: Sequence[str] = (),
    seed: int = 0,
    progress: cr.Progress | bool | None = None,
) -> Store:
    """Reinforce a data set: what an ensemble of teachers makes of its augmentations and variants.

    Killed at any moment, the same call goes on with what lies in ``<out>.partial``, and ends with
    the same bytes.  A store that is there already is opened, if it is of the same.

    Parameters
    ----------
    pairs
        Pictures and texts.
    teachers
        Encoders of pictures and texts, by name, class or object.
    out
        A new folder.
    views
        n, augmentations of each picture.
    variants
        m, wordings of each text; the first is the text itself.
    given
        Further wordings by text id; by default `make` makes them.
    make
        Makes a wording of a text, by a seed.
    augmentation
        Makes a view of a picture, by a seed; something with a fingerprint, such as a frozen
        dataclass.  `Crop` by default.  ``"own"``: the teachers make views themselves, by the
        feature ``augmentation_seed`` of each item, for frozen features in place of pictures.
    scales
        κ of the teachers, or of each.
    also
        Further features of pictures and texts to keep, such as a student's frozen input.
    seed
        Of augmentations and variants.
    progress
        True for bars on standard error.

    Returns
    -------
    Store
        Opened.

    Raises
    ------
    InputError
        On numbers below 1, no teacher, or texts without variants.
    ParameterError
        For an encoder that does not embed both, or something without a fingerprint.
    StoreError
        If `out` holds something else, or was begun with something else.

    References
    ----------
    Vasu et al., "MobileCLIP", CVPR 2024, section 3.
    """
    for name, value in (("views", views), ("variants", variants)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"reinforce: {name} is {value!r:.80}; give a whole number from 1 up")
    encoders, factors = _ensemble(teachers, scales, also)
    views_of = Crop() if augmentation is None else augmentation
    if isinstance(views_of, str) and views_of != OWN:
        raise InputError(
            f"reinforce: augmentation is {views_of!r:.80}; give a callable, or {OWN!r}"
        )
    folder = Path(out)
    texts = variants_of(
        [(str(e.id), str(e.text)) for e in pairs.texts], variants, given, make, seed
    )
    plan: dict[str, Any] = {
        "format": FORMAT,
        "teachers": teachers_plan(encoders, factors),
        "data": pairs.fingerprint(),
        "augmentation": cr.fingerprint(views_of),
        "wordings": cr.fingerprint(texts),
        "views": views,
        "variants": variants,
        "also": list(also),
        "seed": seed,
    }
    if folder.exists():
        return _made(folder, plan)
    partial = _begun(folder, plan)
    shown, said = _shown(pairs, views, seed), _said(pairs, texts)
    features = ("embedding", *also)
    kept = dict.fromkeys(features, DTYPE)
    for number, teacher in enumerate(encoders):
        for name, encoder, items, more in (
            ("images", _seeing(teacher, views_of), shown, SEED),
            ("texts", teacher, said, "image_row"),
        ):
            cr.encode(
                encoder,
                items,
                features=(*features, more),
                out=partial / f"{name}-{number}",
                reuse=True,
                store_dtype=kept,
                progress=progress,
            )
    with disk_errors(folder):
        partial.rename(folder)
    return Store(folder)


def _ensemble(
    teachers: Teacher | Sequence[Teacher], scales: float | Sequence[float], also: Sequence[str]
) -> tuple[list[cr.Encoder], list[float]]:
    """Return the teachers, and the scale of each."""
    several = [teachers] if isinstance(teachers, str | type | cr.Encoder) else list(teachers)
    if not several:
        raise InputError("reinforce: there is no teacher; give an encoder, such as 'lite'")
    encoders = [as_encoder(each, {}) for each in several]
    for each in encoders:
        check_teacher(each, also)
    factors = [float(scales)] * len(encoders) if isinstance(scales, int | float) else list(scales)
    if len(factors) != len(encoders) or not all(np.isfinite(e) and e > 0 for e in factors):
        raise InputError(f"reinforce: scales are {scales!r}; give one above 0, or one per teacher")
    return encoders, factors


def _shown(pairs: Pairs, views: int, seed: int) -> list[cr.Item]:
    """Return every view of every picture."""
    items = []
    for item in pairs.images:
        for view in range(views):
            own: dict[str, Any] = {SEED: seed_of(seed, str(item.id), view)}
            items.append(cr.Item(f"{item.id}@{view}", None, item.image, **own))
    return items


def _said(pairs: Pairs, texts: Sequence[Sequence[str]]) -> list[cr.Item]:
    """Return every wording of every text."""
    return [
        cr.Item(f"{item.id}@{number}", text, image_row=int(image))
        for item, image, own in zip(pairs.texts, pairs.text_to_image, texts, strict=True)
        for number, text in enumerate(own)
    ]


def _seeing(teacher: cr.Encoder, augmentation: Augmentation | str) -> cr.Encoder:
    """Return what encodes views: the teacher itself where it makes them."""
    if isinstance(augmentation, str):
        return teacher
    return AugmentedEncoder(teacher=teacher, augmentation=augmentation)


def _made(folder: Path, plan: dict[str, Any]) -> Store:
    """Open a store that is there, if it is of the same."""
    before = read_plan(folder / MANIFEST)
    differing = difference(before, plan)
    if differing:
        raise StoreError(
            f"reinforce: {folder} was made {differing}; choose another folder, or remove it"
        )
    return Store(folder)


def _begun(folder: Path, plan: dict[str, Any]) -> Path:
    """Return the folder in which a store grows, with its plan; go on with one of the same."""
    partial = beside(folder, ".partial")
    path = partial / MANIFEST
    if path.exists():
        differing = difference(read_plan(path), plan)
        if differing:
            raise StoreError(
                f"reinforce: {partial} was begun {differing}; give the same again, or remove it"
            )
        return partial
    if partial.exists() and any(each.suffix != ".partial" for each in partial.glob("[!.]*")):
        raise StoreError(f"reinforce: {partial} holds something else; remove it")
    with disk_errors(partial):
        partial.mkdir(parents=True, exist_ok=True)
    atomic_bytes(path, json.dumps(plan, indent=1).encode("utf-8") + b"\n")
    return partial
