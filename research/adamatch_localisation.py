r"""Where words are seen: whether the boxes of best patches hit what a detector found.

    CROSSRANK_DATA=… python research/adamatch_localisation.py --features FEATURES -o out/adamatch

For every noun of a caption that names one of the detector's classes, and every picture with a
detected box of that class, the box of the word's best patch is compared with these: whether its
centre lies in one, and whether its IoU with one is at least a half.  Each kind of patches is held
against boxes of the same sizes in every other place of the grid, and in the middle of the picture.
The scales of windows are chosen on val, test is looked at once.  Writes ``localisation.json``,
``localisation.md`` and pictures.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import bootstrap_interval, randomisation_test
from crossrank.report import draw_boxes
from crossrank_adamatch.adaptive import Adaptive
from crossrank_adamatch.hints import overlaps
from crossrank_adamatch.network import load_network
from crossrank_adamatch.patches import Cells, PatchSource, Windows
from crossrank_detect.encoder import DetectEncoder

Floats = NDArray[np.floating[Any]]
GRID = (9, 9)
ALL = tuple(range(1, 10))
SCALES: tuple[tuple[int, ...], ...] = (
    *((size,) for size in ALL),
    *((1, 2), (3, 4), (3, 4, 5, 6), (4, 5), (5, 6), (5, 6, 7), ALL),
)
NAMES = {
    "person": "person people man men woman women boy boys girl girls child children kid kids baby "
    "toddler lady guy guys player players skateboarder skier surfer snowboarder climber",
    "dog": "dog dogs puppy puppies",
    "horse": "horse horses",
    "bicycle": "bicycle bicycles bike bikes",
    "motorcycle": "motorcycle motorcycles motorbike dirtbike",
    "car": "car cars",
    "truck": "truck trucks",
    "bus": "bus buses",
    "train": "train trains",
    "boat": "boat boats canoe kayak",
    "bird": "bird birds duck ducks seagull",
    "cat": "cat cats",
    "sheep": "sheep",
    "cow": "cow cows",
    "bench": "bench",
    "frisbee": "frisbee",
    "sports ball": "ball balls basketball football",
    "skateboard": "skateboard",
    "surfboard": "surfboard surfboards",
    "snowboard": "snowboard",
    "skis": "skis",
    "kite": "kite",
    "tennis racket": "racket",
    "umbrella": "umbrella umbrellas",
    "chair": "chair chairs",
    "couch": "couch sofa",
    "bed": "bed",
    "dining table": "table tables",
    "backpack": "backpack backpacks",
    "bottle": "bottle bottles",
    "cup": "cup cups",
    "book": "book books",
}
CLASS_OF = {word: name for name, words in NAMES.items() for word in words.split()}
"""What people call the things of COCO's classes; words that also mean something else are left out.
"""


@dataclass(frozen=True, slots=True)
class Noun:
    """A word of a caption, and where the detector sees what it names.

    Parameters
    ----------
    picture, word
        Rows of the split's pictures, and of the flat tokens of its captions.
    text
        What it says.
    boxes
        ``[D, 4]`` of its class.
    """

    picture: int
    word: int
    text: str
    boxes: Floats


@dataclass(frozen=True, slots=True)
class Split:
    """A split with its nouns."""

    pictures: cr.Collection
    texts: cr.Collection
    nouns: list[Noun]

    @property
    def of_pictures(self) -> NDArray[np.int64]:
        """``[N]`` the picture of each noun."""
        return np.array([noun.picture for noun in self.nouns], np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = os.environ.get("CROSSRANK_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    model = given.data / "yolox_nano" / "yolox_nano.onnx"
    val, test = (read_split(given.features, name, given.output, model) for name in ("val", "test"))
    some = Split(val.pictures, val.texts, val.nouns[::4])  # enough to choose by
    tried = {scales: measured(some, [Windows(scales)]) for scales in SCALES}
    chosen = max(tried, key=lambda scales: tried[scales]["IoU"].mean())
    found = {
        "cells": measured(test, [Windows((1,))]),
        f"windows {list(chosen)}": measured(test, [Windows(chosen)]),
    }
    for kind in ("adaptive", "fixed"):
        paths = [given.output / f"{kind}{seed}.safetensors" for seed in given.seeds]
        if all(path.exists() for path in paths):
            sources = [Adaptive(load_network(path), "cpu", path.name) for path in paths]
            found[kind] = measured(test, sources)
    figures = {
        "nouns": {"val": len(val.nouns), "test": len(test.nouns)},
        "tried on val": {str(list(s)): percent(each["IoU"]) for s, each in tried.items()},
        "test": rows(test, found),
    }
    text = json.dumps(figures, indent=1) + "\n"
    (given.output / "localisation.json").write_text(text, encoding="utf-8")
    (given.output / "localisation.md").write_text(table(figures), encoding="utf-8")
    draw(test, chosen, given.output / "pictures")


def read_split(features: Path, name: str, output: Path, model: Path) -> Split:
    """Read a split and find its nouns."""
    pictures = cr.Collection.open(features / name / "images")
    texts = cr.Collection.open(features / name / "texts")
    detected = detections(pictures, output / f"detections.{name}.json", model)
    nouns = []
    starts = texts["tokens"].offsets
    for row, words in enumerate(texts["token_text"]):
        picture = pictures.row(texts.ids[row].rpartition("#")[0])
        for place, word in enumerate(words):
            boxes = detected[picture].get(CLASS_OF.get(word.casefold(), ""), [])
            if boxes:
                nouns.append(Noun(picture, int(starts[row]) + place, word, np.array(boxes)))
    return Split(pictures, texts, nouns)


def detections(pictures: cr.Collection, path: Path, model: Path) -> list[dict[str, Any]]:
    """Return of each picture its boxes by class, found once."""
    if not path.exists():
        items = [
            cr.Item(id, image=Path(file))
            for id, file in zip(pictures.ids, pictures["path"], strict=True)
        ]
        made = cr.encode(DetectEncoder(model=model), items, features=("boxes", "labels"))
        found: list[dict[str, Any]] = []
        for boxes, labels in zip(made["boxes"], made["labels"], strict=True):
            found.append({})
            for box, label in zip(boxes.tolist(), labels, strict=True):
                found[-1].setdefault(label, []).append(box)
        path.write_text(json.dumps(found), encoding="utf-8")
    read: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return read


def measured(split: Split, sources: Sequence[PatchSource]) -> dict[str, Any]:
    """Return per noun, averaged over sources, whether its box hits, and whether chance would.

    ``any place`` is the mean over boxes of the best one's size all over the grid, which is what a
    random one of them hits; ``middle`` is the one nearest to the picture's centre.
    """
    sums: dict[str, Any] = {}
    for source in sources:
        for name, values in hits(split, source).items():
            sums[name] = sums.get(name, 0.0) + values / len(sources)
    return sums


def hits(split: Split, source: PatchSource) -> dict[str, NDArray[np.float64]]:
    """Return what `measured` does, of one source."""
    words = np.asarray(split.texts["tokens"].flat[[noun.word for noun in split.nouns]], np.float32)
    if isinstance(source, Adaptive):
        with torch.inference_mode():
            words = source.network.read(torch.from_numpy(words)).numpy()
    found: dict[str, list[float]] = {}
    patches: dict[int, tuple[Floats, Floats]] = {}
    for noun, word in zip(split.nouns, words, strict=True):
        if noun.picture not in patches:
            patches = {noun.picture: patches_of(split, source, noun.picture)}
        tokens, boxes = patches[noun.picture]
        best = int((tokens @ word).argmax())
        inside, iou = against(boxes, noun.boxes)
        others = everywhere(boxes[best], boxes)
        centre = int(np.abs(others[:, :2] + others[:, 2:] - 1).sum(axis=1).argmin())
        chance = dict(zip(("centre", "IoU"), against(others, noun.boxes), strict=True))
        for name, of in (("centre", inside), ("IoU", iou)):
            found.setdefault(name, []).append(float(of[best]))
            found.setdefault(f"{name}, any place", []).append(float(chance[name].mean()))
            found.setdefault(f"{name}, middle", []).append(float(chance[name][centre]))
        area = float(np.prod(boxes[best, 2:] - boxes[best, :2]))
        found.setdefault("area", []).append(area)
    return {name: np.array(values) for name, values in found.items()}


def patches_of(split: Split, source: PatchSource, picture: int) -> tuple[Floats, Floats]:
    """Return tokens and boxes of a picture's patches."""
    tokens, boxes = (
        np.asarray(split.pictures[name][picture], np.float32) for name in ("tokens", "token_boxes")
    )
    return source.make([Cells(tokens, boxes, GRID)])[0]


def against(boxes: Floats, wanted: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return ``[P]``: whose centre lies in one of the wanted boxes, and whose IoU is a half."""
    centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    within = np.all((centres >= wanted[:, :2]) & (centres <= wanted[:, 2:]), axis=2)
    near = overlaps(boxes, wanted)
    return np.asarray(within.any(axis=1)), np.asarray((near >= 0.5).any(axis=1))


def everywhere(box: Floats, patches: Floats) -> Floats:
    """Return ``[n, 4]``: a box of the same size in all places of the grid that patches lie on.

    Steps are of one cell or a little less, so that the first and the last touch the borders; of a
    window of s×s cells that is every window of its scale.
    """
    low, high = patches[:, :2].min(axis=0), patches[:, 2:].max(axis=0)
    sides = box[2:] - box[:2]
    free = (high - low - sides).clip(min=0)
    steps = np.ceil(free / (high - low) * np.array(GRID[::-1]) - 1e-3).astype(int) + 1
    x, y = (low[k] + np.linspace(0, free[k], steps[k]) for k in range(2))
    corners = np.stack([np.tile(x, len(y)), np.repeat(y, len(x))], axis=1)
    return np.concatenate([corners, corners + sides], axis=1)


def rows(split: Split, found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a record per kind of patches, with its differences to cells and to chance."""
    records = []
    for kind, values in found.items():
        record: dict[str, Any] = {"kind": kind, "mean area": round(float(values["area"].mean()), 3)}
        for name in ("centre", "IoU"):
            record[name] = percent(values[name])
            others = {
                "cells": found["cells"][name],
                "any place": values[f"{name}, any place"],
                "middle": values[f"{name}, middle"],
            }
            if kind == "adaptive" and "fixed" in found:
                others["fixed boxes"] = found["fixed"][name]
            for other, against in others.items():
                if against is not values[name] and kind != other:
                    told = compared(values[name] - against, split.of_pictures)
                    record[f"{name} against {other}"] = {"share": percent(against), **told}
        records.append(record)
    return records


def compared(difference: NDArray[np.float64], clusters: NDArray[np.int64]) -> dict[str, float]:
    """Return the mean difference in points, its 95 % interval and p, randomised by picture."""
    _, groups = np.unique(clusters, return_inverse=True)
    sums = 100 * np.bincount(groups, weights=difference).astype(np.float64)[None]
    low, high = bootstrap_interval(sums, np.bincount(groups).astype(np.float64))
    told = 100 * difference.mean(), low[0], high[0]
    names = ("difference", "low", "high")
    return {n: round(float(each), 2) for n, each in zip(names, told, strict=True)} | {
        "p": round(float(randomisation_test(sums)[0]), 4)
    }


def percent(shares: NDArray[np.float64]) -> float:
    """Return a mean share in percent."""
    return round(100 * float(shares.mean()), 2)


def table(figures: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [
        f"{figures['nouns']['test']} nouns of the test split.",
        "",
        "| patches | mean area | centre in a box | any place | middle | IoU ≥ .5 | any place "
        "| middle | IoU ≥ .5 against cells | p | against any place | p |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in figures["test"]:
        cells = [each["kind"], f"{each['mean area']:.3f}"]
        for name in ("centre", "IoU"):
            cells.append(f"{each[name]:.1f}")
            for other in ("any place", "middle"):
                cells.append(f"{each[f'{name} against {other}']['share']:.1f}")
        for other in ("cells", "any place"):
            told = each.get(f"IoU against {other}")
            cells += ["", ""] if told is None else [interval(told), f"{told['p']:.4f}"]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "| scales tried on val | IoU ≥ .5 |", "|---|---|"]
    lines += [f"| {scales} | {share:.1f} |" for scales, share in figures["tried on val"].items()]
    return "\n".join(lines) + "\n"


def interval(told: dict[str, float]) -> str:
    """Return a difference with its interval."""
    return f"{told['difference']:+.1f} ({told['low']:+.1f} … {told['high']:+.1f})"


def draw(split: Split, scales: tuple[int, ...], folder: Path, count: int = 12) -> None:
    """Write pictures with what the detector found, the best cell and the best window of a noun."""
    folder.mkdir(exist_ok=True)
    chance = np.random.default_rng(0)
    for number in chance.choice(len(split.nouns), count, replace=False).tolist():
        noun = split.nouns[number]
        word = np.asarray(split.texts["tokens"].flat[noun.word], np.float32)
        boxes: list[Any] = [tuple(box) for box in noun.boxes.tolist()]
        words = ["detector"] * len(boxes)
        for name, source in (("cell", Windows((1,))), (noun.text, Windows(scales))):
            tokens, places = patches_of(split, source, noun.picture)
            boxes.append(tuple(places[int((tokens @ word).argmax())].tolist()))
            words.append(name)
        image = cr.open_image(Path(split.pictures["path"][noun.picture]))
        draw_boxes(image, boxes, words).save(folder / f"{number}.png")


if __name__ == "__main__":
    main()
