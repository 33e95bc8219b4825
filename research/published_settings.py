r"""What every setting of ``examples/settings`` gives on Flickr8k's test split, beside what it says.

    python research/published_settings.py --features FEATURES [--settings hosa.t2i filip]

FEATURES holds ``test`` with the collections ``images``, ``regions`` and ``texts`` of ``lite``.  A
setting whose name ends in ``.t2i`` or ``.i2t`` is for that direction.  One is left out that is for
queries of another kind.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import crossrank as cr
from crossrank.errors import CrossrankError

SETTINGS = Path(__file__).parents[1] / "examples" / "settings"
DEPTH = 100
COMPOSED = "filip.composed"
"""Asked by a picture and an edit; its figure is that of research/composed_study.py."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--settings", nargs="*")
    given = parser.parse_args()
    folder = given.features / "test"
    images = cr.Collection.open(folder / "images")
    images = images.with_features(regions=cr.Collection.open(folder / "regions")["regions"])
    texts = cr.Collection.open(folder / "texts")
    for path in sorted(SETTINGS.glob("*.toml")):
        name = path.name.removesuffix(".toml")
        if name == COMPOSED or (given.settings and name not in given.settings):
            continue
        for direction in ("t2i", "i2t"):
            if name.endswith(("t2i", "i2t")) and not name.endswith(direction):
                continue
            try:
                found = f"{recall(path, direction, images, texts):.2f}"
            except CrossrankError as error:
                found = f"not here: {error}"
            print(f"{name:24}{direction}  {found}  {said(path)}", flush=True)


def recall(path: Path, direction: str, images: cr.Collection, texts: cr.Collection) -> float:
    """Return R@1 over the first of the base."""
    queries, gallery = (texts, images) if direction == "t2i" else (images, texts)
    rankings = cr.Pipeline(cr.Stage.from_file(path)).rerank(
        cr.search(queries, gallery, depth=DEPTH), queries, gallery, top_k=1
    )
    hits = [picture(query) == picture(best.ids[0]) for query, best in rankings.items()]
    return 100 * float(np.mean(hits))


def picture(id: str) -> str:
    return id.partition("#")[0]


def said(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line[2:] for line in lines if line.startswith("# "))


if __name__ == "__main__":
    main()
