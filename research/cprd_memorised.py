r"""Measure how much better rerankers know the pictures they were trained on.

    python research/cprd_memorised.py --features FOLDER

Takes 1,000 pictures of ``train`` and of ``val`` with the first caption of each, searches them, and
prints the t2i R@1 of the base, of ``filip`` and of ``lite_itm`` over the first candidates.  Where a
teacher's figures differ much, its lists of the train split look unlike those of new data.

FOLDER is that of `train_cprd.py`; the collections need ``regions`` and ``words`` too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from cprd_data import Split
from crossrank_cprd.teacher import teacher_scores

TEACHERS: dict[str, cr.Stage] = {
    "filip": cr.Stage("filip", fusion=cr.Replace()),
    "lite_itm": cr.Stage("lite_itm", fusion=cr.Replace()),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--depth", type=int, default=32)
    given = parser.parse_args()
    for name in ("train", "val"):
        part = first_captions(Split.open(given.features, name), given.pictures)
        figures = recalls(part, given.depth, TEACHERS)
        print(name, " ".join(f"{each} {value:.1f}" for each, value in figures.items()), flush=True)


def first_captions(split: Split, pictures: int) -> Split:
    """Return the first pictures of a split, each with its first caption."""
    count = min(pictures, len(split.images))
    rows = [int(np.flatnonzero(split.owners == picture)[0]) for picture in range(count)]
    images = split.images.take(list(range(count)))
    return Split(split.name, images, split.texts.take(rows), np.arange(count))


def recalls(split: Split, depth: int, teachers: dict[str, cr.Stage]) -> dict[str, float]:
    """Return t2i R@1 in per cent of the base and of every teacher over the base's candidates."""
    found = cr.search(split.texts, split.images, depth=depth)
    assert found.scores is not None
    scores: dict[str, NDArray[np.floating]] = {"base": found.scores}
    for name, stage in teachers.items():
        scores[name] = teacher_scores(stage, found, split.texts, split.images)
    rows = np.arange(len(found))
    return {
        name: 100 * float(np.mean(found.index[rows, each.argmax(axis=1)] == split.owners))
        for name, each in scores.items()
    }


if __name__ == "__main__":
    main()
