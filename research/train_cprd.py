r"""Distil a pipeline into a dual encoder on Flickr8k, and compare what to distil.

    python research/train_cprd.py --features FOLDER -o out/cprd --teacher filip:weight=1.25

FOLDER holds what `crossrank encode` makes of the splits with the encoder ``lite``:
``images_train``, ``images_val``, ``images_test`` (embedding, tokens) and ``words_…`` likewise.
Mines hard negatives of the whole train split, has the teacher score them once, trains a student per
objective and seed with as many steps each, and writes the students and ``figures.json``.  Test is
measured with ``--test``.  Killed at any moment, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import crossrank as cr
from cprd_data import Split, mined
from crossrank.cli.kit import read_stage
from crossrank_cprd.embedding import embed
from crossrank_cprd.mining import TaughtLists
from crossrank_cprd.pairs import Pairs
from crossrank_cprd.recipe import OBJECTIVES, Recipe
from crossrank_cprd.saving import load_student, save_student
from crossrank_cprd.student import Student, StudentSizes
from crossrank_cprd.summary import find_anchors
from crossrank_cprd.teacher import teacher_fingerprint, teacher_scores
from crossrank_cprd.trainer import Lesson, train

logger = logging.getLogger("train_cprd")

DIRECTIONS = ("t2i", "i2t")
Anchors = NDArray[np.float32]


def main() -> None:
    given = arguments()
    logging.basicConfig(format="%(asctime)s %(message)s")
    for name in ("train_cprd", "crossrank_cprd"):
        logging.getLogger(name).setLevel(logging.INFO)
    given.out.mkdir(parents=True, exist_ok=True)
    teachers = {
        direction: cr.Pipeline([read_stage(each) for each in given.stages[direction]])
        for direction in DIRECTIONS
    }
    val = Split.open(given.features, "val")
    train_split = Split.open(given.features, "train")
    anchors = find_anchors(train_split.texts, given.anchors)
    lesson = taught(train_split, teachers, anchors, given)
    dev = val.pairs(anchors)
    runs = [
        one(objective, seed, lesson, anchors, dev, val, given)
        for objective in given.objectives
        for seed in given.seeds
    ]
    figures = {"teacher": given.stages, "runs": runs}
    if given.test:
        test = Split.open(given.features, "test")
        for run in runs:
            run["test"] = measured(given.out / run["student"], test)
        figures["test before"] = test.recall(test.images["embedding"], test.texts["embedding"])
    path = given.out / "figures.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    for line in table(figures):
        print(line)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path, default=Path("out/cprd"))
    parser.add_argument(
        "--teacher", nargs="+", default=["filip:weight=1.25"], help="stages as for crossrank rerank"
    )
    parser.add_argument("--teacher-i2t", nargs="+", help="of texts for pictures, if it is another")
    parser.add_argument("--objectives", nargs="+", default=list(OBJECTIVES), choices=OBJECTIVES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--depth", type=int, default=64, help="negatives mined per query")
    parser.add_argument("--captions", type=int, nargs="+", default=[0, 2], help="taught in t2i")
    parser.add_argument("--anchors", type=int, default=512)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--set", nargs="*", default=[], metavar="[OBJECTIVE.]NAME=VALUE")
    parser.add_argument("--test", action="store_true", help="measure the test split too")
    given = parser.parse_args()
    given.stages = {"t2i": given.teacher, "i2t": given.teacher_i2t or given.teacher}
    return given


def taught(
    train: Split, teachers: dict[str, cr.Pipeline], anchors: Anchors, given: argparse.Namespace
) -> Lesson:
    """Mine the train split, and let the teachers score what was found."""
    lists = {}
    for direction in DIRECTIONS:
        name = f"{direction}-{given.depth}"
        candidates = mined(train, direction, given.depth, given.captions, given.out / f"{name}.npz")
        queries, gallery = train.sides(direction)
        teacher = teachers[direction]
        scores = teacher_scores(
            teacher,
            candidates,
            queries,
            gallery,
            folder=given.out / f"{name}-{teacher_fingerprint(teacher)[:8]}",
            progress=lambda what, done, total: logger.info("%s: %d of %d", what, done, total),
        )
        own, others = map(torch.from_numpy, train.owners_of(direction))
        rows = torch.tensor([queries.row(id) for id in candidates.query_ids])
        lists[direction] = TaughtLists.of(candidates, scores, own[rows], others).spread(
            rows, len(queries)
        )
    mark = [train.images.fingerprint(), train.texts.fingerprint()]
    mark += [teacher_fingerprint(teachers[direction]) for direction in DIRECTIONS]
    mark += [cr.fingerprint(anchors), given.depth, given.captions]
    return Lesson(train.pairs(anchors), lists["t2i"], lists["i2t"], cr.fingerprint(mark))


def recipe_of(objective: str, seed: int, settings: list[str]) -> Recipe:
    """Return the defaults, changed by what was set for all objectives or for this one."""
    values: dict[str, Any] = {}
    for each in settings:
        name, value = each.split("=", 1)
        whose, _, name = name.rpartition(".")
        if whose in ("", objective):
            values[name] = json.loads(value)
    return replace(Recipe(objective=objective, seed=seed), **values)


def one(
    objective: str,
    seed: int,
    lesson: Lesson,
    anchors: Anchors,
    dev: Pairs,
    val: Split,
    given: argparse.Namespace,
) -> dict[str, Any]:
    """Train and save one student."""
    recipe = recipe_of(objective, seed, given.set)
    name = f"{objective}-{seed}"
    logger.info("%s", name)
    student = fresh(lesson.pairs, anchors, seed, given)

    def measure(pupil: Student) -> dict[str, float]:
        images = dev.images.all_through(pupil.image).numpy()
        return val.recall(images, dev.texts.all_through(pupil.text).numpy())

    start = time.process_time()
    checkpoint = given.out / f"{name}.checkpoint.safetensors"
    history = train(student, lesson, recipe, measure, checkpoint)
    best = max(history, key=lambda record: record["t2i R@1"])
    about = {"recipe": asdict(recipe), "teacher": given.stages, "history": history}
    save_student(
        student,
        given.out / f"{name}.safetensors",
        encoder=val.images.encoder,
        about=about,
    )
    seconds = round(time.process_time() - start, 1)
    return {
        "student": f"{name}.safetensors",
        "objective": objective,
        "seed": seed,
        "seconds of this call": seconds,
        "val": best,
    }


def fresh(pairs: Pairs, anchors: Anchors, seed: int, given: argparse.Namespace) -> Student:
    """Return a student that ranks as the base matcher does."""
    torch.manual_seed(seed)
    size = pairs.images.embedding.shape[1]
    sizes = StudentSizes(size, anchors.shape[1], len(anchors), given.hidden, given.dropout)
    student = Student(sizes, anchors)
    student.image.measure(pairs.images.summary)
    student.text.measure(pairs.texts.summary)
    return student


def measured(path: Path, split: Split) -> dict[str, float]:
    """Return R@K of a student as it was saved."""
    student = load_student(path)
    return split.recall(embed(student, split.images), embed(student, split.texts))


def table(figures: dict[str, Any]) -> list[str]:
    """Return the mean and the spread over the seeds, a line per objective and split."""
    lines = []
    for split in ("val", "test"):
        runs = [run for run in figures["runs"] if split in run]
        for objective in dict.fromkeys(run["objective"] for run in runs):
            mine = [run[split] for run in runs if run["objective"] == objective]
            names = [name for name in mine[0] if "R@" in name]
            cells = [
                f"{name} {np.mean([each[name] for each in mine]):.2f} "
                f"± {np.std([each[name] for each in mine]):.2f}"
                for name in names
            ]
            lines.append(f"{split} {objective:8} " + "  ".join(cells))
    return lines


if __name__ == "__main__":
    main()
