"""Pairs per second of a student and of its teachers, each as a pipeline of its own.

    python research/cprd_speed.py --features FOLDER --student out/cprd/cprd-0.safetensors

Reranks the first 100 of 1,000 texts of ``val`` three times and prints the best, what is prepared
once per gallery included.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import crossrank as cr
from cprd_data import Split
from crossrank.cli.kit import read_stage

TIMES = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--teacher", nargs="+", default=["filip:weight=1.25"])
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--depth", type=int, default=100)
    given = parser.parse_args()
    split = Split.open(given.features, "val")
    texts = split.texts.take(np.arange(given.texts))
    lists = cr.search(texts, split.images, depth=given.depth)
    student = cr.Stage("cprd", params={"student": given.student}, fusion=cr.Replace())
    systems = {"student": [student], "teacher": [read_stage(each) for each in given.teacher]}
    for name, stages in systems.items():
        pipeline = cr.Pipeline(stages)
        seconds = []
        for _ in range(TIMES):
            start = time.perf_counter()
            pipeline.rerank(lists, texts, split.images, threads=1)
            seconds.append(time.perf_counter() - start)
        pairs = lists.mask.sum() / min(seconds)
        print(f"{name}: {pairs:,.0f} pairs per second ({pipeline!r})")


if __name__ == "__main__":
    main()
