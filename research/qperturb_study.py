"""Measure whether Q-Perturbation helps a tiny BLIP-2 to find pictures by their small things.

    python research/train_tiny_blip2.py -o out/tiny_blip2   # once
    python research/qperturb_study.py -m out/tiny_blip2 -o docs/qperturb.md

Measures every model of the folder on galleries of its own, over the whole grid of settings, and
writes the tables between two marks in the file, and pictures beside it. What was measured is
kept beside the model and not measured again; ``--again`` measures it again.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from crossrank_qperturb import attention_picture
from qperturb_measures import (
    ALL_BOXES,
    ALPHAS,
    BASELINE,
    PROJECTORS,
    PUBLISHED,
    Gallery,
    Setting,
    settings,
)
from qperturb_report import EDGES, Measured, best, by_area, compare, grid, spread, table
from tiny_blip2_model import transformers
from tiny_blip2_scenes import caption, gallery

logger = logging.getLogger("qperturb_study")

SCORES = ("t2i itc", "t2i itm", "t2i itm+itc", "i2t itc")
BEGIN, END = "<!-- begin: research/qperturb_study.py -->", "<!-- end -->"
PICTURES = 2


def main() -> None:
    given = arguments()
    logging.basicConfig(format="%(asctime)s %(message)s")
    logger.setLevel(logging.INFO)
    torch.set_num_threads(given.threads)
    folders = sorted(path.parent for path in given.models.glob("seed*/figures.json"))
    if not folders:
        raise SystemExit(f"no trained model in {given.models}; run research/train_tiny_blip2.py")
    seeds = [measured(folder, given) for folder in folders]
    text = report(seeds, given)
    page = given.out.read_text(encoding="utf-8") if given.out.exists() else f"{BEGIN}\n{END}\n"
    given.out.write_text(replaced(page, text), encoding="utf-8")
    draw_attention(folders[0], given)
    logger.info("wrote %s", given.out)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--models", type=Path, default=Path("out/tiny_blip2"))
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/qperturb.md"))
    parser.add_argument("--size", type=int, default=100, help="pictures in a gallery")
    parser.add_argument("--val", type=int, default=1, help="galleries of val per model")
    parser.add_argument("--test", type=int, default=3, help="galleries of test per model")
    parser.add_argument("--depth", type=int, default=8, help="pictures per text that ITM scores")
    parser.add_argument("--again", action="store_true", help="measure what was measured before")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def load(folder: Path) -> Any:
    return transformers.Blip2ForImageTextRetrieval.from_pretrained(folder).eval()


def measured(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Return what was measured of a model: per split the answers, and more of test."""
    seed = int(folder.name.removeprefix("seed"))
    path = folder / f"study-{given.size}-{given.val}-{given.test}-{given.depth}.json"
    if given.again or not path.exists():
        model, found = load(folder), dict[str, Any]()
        for split in ("val", "test"):
            several = [
                Gallery(model, gallery(split, given.size, number_of(seed, each)), given.depth)
                for each in range(getattr(given, split))
            ]
            found[split] = []
            for setting in settings():
                each = [seen.right(setting) for seen in several]
                right = {name: [int(v) for one in each for v in one[name]] for name in each[0]}
                found[split].append([astuple(setting), right])
                logger.info("%s %s %s", folder.name, split, setting)
        found["areas"] = [float(area) for seen in several for area in seen.areas]
        found["listed"] = float(np.mean([seen.listed() for seen in several]))
        found["attention"] = [
            [astuple(each), np.mean([seen.attention_on(seen.attention(each)) for seen in several])]
            for each in attended()
        ]
        path.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def number_of(seed: int, gallery: int) -> int:
    """Return the seed of a model's gallery."""
    return 1000 * (seed + 1) + gallery


def attended() -> list[Setting]:
    """Return the settings whose attention is measured."""
    return [BASELINE, *(Setting(each, alpha=alpha) for each in PROJECTORS for alpha in ALPHAS)]


def answers(seed: dict[str, Any], split: str) -> Measured:
    return {
        Setting(*setting): {name: np.array(rows, bool) for name, rows in right.items()}
        for setting, right in seed[split]
    }


def report(seeds: list[dict[str, Any]], given: argparse.Namespace) -> str:
    """Return all tables."""
    val, test = ([answers(seed, split) for seed in seeds] for split in ("val", "test"))
    areas = [np.array(seed["areas"]) for seed in seeds]
    everything: list[NDArray[np.bool_]] = [np.ones(len(each), bool) for each in areas]
    head = ["score", "setting", "R@1 without", "R@1 with", "gain", "won / lost", "p"]
    rows = []
    for score in SCORES:
        for name, setting in (
            ("published", PUBLISHED),
            ("published", ALL_BOXES),
            ("best on val", best(val, score)),
        ):
            told = f"{name}: α {setting.alpha:g}, n_pc {setting.n_pc}, {setting.boxes} boxes"
            rows.append([score, told, *compare(test, score, setting, everything)])
    parts = [
        f"{len(seeds)} models, each with {given.test} galleries of {given.size} pictures of "
        f"test and as many texts; mean (least … greatest) over the models. ITM scores the first "
        f"{given.depth} of ITC unperturbed, which have the right picture for "
        f"{spread([100 * seed['listed'] for seed in seeds])} % of the texts.",
        table(head, rows),
    ]
    for setting in (PUBLISHED, ALL_BOXES):
        for score in ("t2i itc", "t2i itm+itc"):
            title = f"### By area, {score}, pca, {setting.boxes} boxes, α 8, n_pc 0.99"
            parts += [title, by_area(test, areas, score, setting)]
    for score in SCORES:
        parts += [f"### Gain in R@1, {score}, every setting", grid(test, score)]
    parts += ["### Attention on the mentioned boxes", attention_table(seeds)]
    return "\n\n".join(parts)


def attention_table(seeds: list[dict[str, Any]]) -> str:
    """Return the share of ITC's attention that lies on the mentioned boxes, in percent."""
    shares = [{Setting(*each): share for each, share in seed["attention"]} for seed in seeds]
    rows = [
        [projector]
        + [
            f"{100 * np.mean([each[setting] for each in shares]):.1f}"
            for setting in (BASELINE, *(Setting(projector, alpha=alpha) for alpha in ALPHAS))
        ]
        for projector in PROJECTORS
    ]
    return table(["projector", *(f"α = {alpha}" for alpha in (0, *ALPHAS))], rows)


def replaced(page: str, text: str) -> str:
    """Return a page with a text between the two marks."""
    if BEGIN not in page or END not in page:
        raise SystemExit(f"the page lacks the lines {BEGIN} and {END}")
    before, rest = page.split(BEGIN, 1)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END, 1)[1]}"


def draw_attention(folder: Path, given: argparse.Namespace) -> None:
    """Write where the queries look, for the first pictures of test with a thing of the smallest."""
    pictures = gallery("test", given.size, number_of(int(folder.name.removeprefix("seed")), 0))
    chosen = [
        (scene, fact)
        for scene, fact in pictures
        if min(thing.area for thing in scene.facts()[fact]) * 100 < EDGES[1]
    ][:PICTURES]
    seen = Gallery(load(folder), chosen, 1)
    plain, moved = seen.attention(BASELINE), seen.attention(PUBLISHED)
    side = round(plain.shape[1] ** 0.5)
    for row, (scene, fact) in enumerate(chosen):
        path = given.out.parent / f"qperturb_attention{row}.png"
        attention_picture(
            path,
            Image.fromarray(scene.picture),
            plain[row].reshape(side, side),
            moved[row].reshape(side, side),
            seen.boxes["mentioned"][row],
            title=caption(fact),
        )
        with Image.open(path) as drawn:
            drawn.quantize(64).save(path, optimize=True)  # a repository keeps every version


if __name__ == "__main__":
    main()
