"""Reinforced training on Flickr8k: a small student with and without a store of teachers.

    python research/train_reinforced.py --data DATA --features FEATURES --work WORK -o PAGE

DATA holds ``flickr8k/images`` and ``captions.jsonl``; FEATURES holds ``{train,val,test}/regions``
and ``{train,val,test}/texts``, what ``crossrank encode`` wrote with ``lite``.  The store
(rectangles of a picture's cells, what the shipped ``lite`` makes of them, and the frozen input of
the student) is made once in WORK; killed at any moment, the same command goes on.  Rates, λ and
the number of steps are chosen on val; test is looked at once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import BothDirections, bootstrap_interval, randomisation_test
from crossrank_lite.encoder import LiteEncoder
from crossrank_reinforce import Pairs, read_pairs, reinforce
from reinforced_student import (
    BATCH,
    METRICS,
    CellLite,
    Split,
    Student,
    Training,
    measured,
    read_split,
)

RATES = (1e-3, 3e-3)
WEIGHTS = (0.5, 0.75, 1.0)
STEPS = (50, 100, 200, 400, 800)
TUNED_AT = 200
SEEDS = (0, 1, 2)


def rsum(result: BothDirections) -> float:
    return float(next(iter(result.rsum.values())))


def read_train(data: Path, count: int) -> Pairs:
    """Return the first pictures of the train split."""
    folder = data / "flickr8k"
    pairs = read_pairs(folder / "captions.jsonl", folder / "images", "train")
    return Pairs(pairs.images[:count], pairs.texts[: 5 * count], pairs.text_to_image[: 5 * count])


def tuned(training: Training, val: Split) -> tuple[float, float, float]:
    """Return the best rate without a store, and rate and λ with it, on val with one seed."""
    alone = {
        rate: rsum(measured(training.train(9, TUNED_AT, rate, None)[0], val)) for rate in RATES
    }
    taught = {
        each: rsum(measured(training.train(9, TUNED_AT, *each)[0], val))
        for each in product(RATES, WEIGHTS)
    }
    print("tuning, RSUM on val:", alone, taught, flush=True)
    return (max(alone, key=alone.__getitem__), *max(taught, key=taught.__getitem__))


def asked_again(training: Training, data: Path) -> float:
    """Return the seconds a step would take longer if the teacher were asked during training."""
    teacher, rng = LiteEncoder(), np.random.default_rng(0)
    chosen = rng.choice(len(training.store.image_ids), 32, replace=False)
    paths = [data / "flickr8k" / "images" / training.store.image_ids[row] for row in chosen]
    texts = [training.store.text(int(training.owned[row, 0]), 0) for row in chosen]
    shown = [cr.Item(str(n), image=path) for n, path in enumerate(paths)]
    said = [cr.Item(str(n), text) for n, text in enumerate(texts)]
    teacher.encode_batch(shown[:1], "image", ("embedding",))
    teacher.encode_batch(said[:1], "text", ("embedding",))
    begun = time.process_time()
    teacher.encode_batch(shown, "image", ("embedding",))
    teacher.encode_batch(said, "text", ("embedding",))
    return (time.process_time() - begun) * BATCH / len(shown)


def compared(before: Sequence[BothDirections], after: Sequence[BothDirections]) -> list[list[str]]:
    """Return rows of a table: values over seeds, gain, interval and p, by picture."""
    rows = []
    for direction, metric in product(("t2i", "i2t"), METRICS):
        queries = [[values(result, direction, metric) for result in arm] for arm in (before, after)]
        means = [np.array([float(each.mean()) for each in arm]) for arm in queries]
        # captions of a picture are one cluster; seeds are averaged
        gains = (np.mean(queries[1], axis=0) - np.mean(queries[0], axis=0)).reshape(1000, -1)
        difference = gains.mean(axis=1)[None]
        low, high = (
            float(end[0])
            for end in bootstrap_interval(difference, np.ones(difference.shape[1]), seed=0)
        )
        p = float(randomisation_test(difference, 9999, 0)[0])
        rows.append(
            [
                f"{direction} {metric}",
                *(f"{each.mean():.2f} ± {each.std(ddof=1):.2f}" for each in means),
                f"{difference.mean():+.2f} ({low:+.2f} … {high:+.2f})",
                f"{p:.4f}",
            ]
        )
    return rows


def values(result: BothDirections, direction: str, metric: str) -> NDArray[np.float64]:
    """Return a measure per query, in percent."""
    evaluation = result.t2i if direction == "t2i" else result.i2t
    found = next(iter(evaluation.per_query.values()))[metric]
    return np.asarray(found, np.float64)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=6000)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("-o", "--out", type=Path, help="the page; without one only the store")
    given = parser.parse_args()
    pairs = read_train(given.data, given.pictures)
    given.work.mkdir(parents=True, exist_ok=True)
    store = reinforce(
        pairs,
        CellLite(given.features / "train"),
        given.work / "store",
        views=given.views,
        augmentation="own",
        also=("pooled",),
    )
    if given.out is None:
        return
    training = Training(store)
    val, test = (read_split(given.features, name) for name in ("val", "test"))
    rate, own, weight = tuned(training, val)
    arms: dict[str, tuple[float, float | None]] = {"alone": (rate, None), "taught": (own, weight)}

    seconds: dict[str, list[float]] = {name: [] for name in arms}
    curve: dict[str, dict[int, float]] = {name: {} for name in arms}
    students: dict[tuple[str, int], list[Student]] = {}
    for steps, (name, arm) in product(STEPS, arms.items()):
        made = [training.train(seed, steps, *arm) for seed in SEEDS]
        students[name, steps] = [student for student, _ in made]
        seconds[name] += [each / steps for _, each in made]
        curve[name][steps] = float(np.mean([rsum(measured(each, val)) for each, _ in made]))
        print(name, steps, round(curve[name][steps], 1), flush=True)
    cost_of = {name: float(np.median(each)) for name, each in seconds.items()}
    best = max(STEPS, key=lambda steps: curve["alone"][steps])
    reached = [steps for steps in STEPS if curve["taught"][steps] >= curve["alone"][best]]
    shorter = max(1, round(best * cost_of["alone"] / cost_of["taught"]))
    students["taught", shorter] = [
        training.train(seed, shorter, *arms["taught"])[0] for seed in SEEDS
    ]
    online = asked_again(training, given.data)

    alone = [measured(each, test) for each in students["alone", best]]
    same_steps = compared(alone, [measured(each, test) for each in students["taught", best]])
    same_time = compared(alone, [measured(each, test) for each in students["taught", shorter]])
    columns = ["Flickr8k test", "CLIP's loss", "reinforced", "gain (95 %)", "p"]
    steps_rows = [
        [name, *(f"{curve[arm][steps]:.1f}" for steps in STEPS)]
        for name, arm in (("CLIP's loss", "alone"), ("reinforced", "taught"))
    ]
    size = sum(each.stat().st_size for each in store.folder.rglob("*") if each.is_file())
    page = PAGE.format(
        pictures=given.pictures, texts=len(store.text_ids), views=store.views,
        megabytes=size / 1e6,
        rate=rate, own=own, weight=weight, best=best, shorter=shorter, batch=BATCH,
        alone=1000 * cost_of["alone"], taught=1000 * cost_of["taught"], online=1000 * online,
        times=online / cost_of["taught"] + 1,
        reached=str(min(reached)) if reached else f"more than {max(STEPS)}",
        curve=markdown(["steps", *map(str, STEPS)], steps_rows),
        steps=markdown(columns, same_steps), time=markdown(columns, same_time),
    )  # fmt: skip
    text = given.out.read_text(encoding="utf-8") if given.out.exists() else MARK
    given.out.write_text(text.partition(MARK)[0] + MARK + page, encoding="utf-8")


MARK = "## What it buys on Flickr8k\n"
PAGE = """
```sh
python research/train_reinforced.py --data DATA --features FEATURES --work WORK -o docs/reinforce.md
```

Student: two perceptrons of one hidden layer on the mean of `lite`'s frozen cells and words.
Teacher: the shipped `lite` alone, which attends to cells and was trained on the same pictures.
Store: {pictures:,} pictures of train × {views} views, rectangles of 40 to 100 % of their cells (a
crop of frozen features rather than of pixels, so that the tower looks once), and their {texts:,}
captions as they are; {megabytes:.0f} MB with the student's input. Both arms see the same views and
captions, {batch} pairs a step. Chosen on val: rate {rate:g} without the store, rate {own:g} and
λ = {weight:g} with it. Test was looked at once; three seeds, mean ± deviation; intervals and p by
picture, seeds averaged.

**The same number of steps** ({best}, best on val without the store):

{steps}

**The same wall time** (one thread that nobody disturbs): a step takes {alone:.1f} ms without and
{taught:.1f} ms with the store, so {shorter} steps:

{time}

**Learning efficiency.** RSUM on val, mean of three seeds, each with its own schedule:

{curve}

The best that CLIP's loss reaches takes it {best} steps, and {reached} of these numbers of steps
with the store. Without a store, asking the teacher in every step would take {online:,.0f} ms more,
{times:,.0f} times as long as a step with it. The paper's 10 – 1000 × is of large towers trained
from scratch; here the towers are frozen.
"""


if __name__ == "__main__":
    main()
