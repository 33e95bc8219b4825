"""Turn Flickr8k as CROSSRANK_DATA holds it into inputs and qrels for the command line.

    python examples/prepare_flickr8k.py --split test -o out/flickr8k/test

Writes ``images.jsonl``, ``texts.jsonl``, ``qrels.t2i.txt`` and ``qrels.i2t.txt``.  An image is
called by its file name without suffix, its captions by the image and ``#0`` to ``#4``.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from crossrank.evaluation import write_qrels


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, default=os.environ.get("CROSSRANK_DATA"))
    arguments.add_argument("--split", choices=("train", "val", "test"), default="test")
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    if given.data is None:
        arguments.error("say where the data lie: --data DIR, or the variable CROSSRANK_DATA")
    prepare(given.data / "flickr8k", given.split, given.output)


def prepare(folder: Path, split: str, output: Path) -> None:
    """Write the four files of one split."""
    images, texts = [], []
    t2i: dict[str, dict[str, int]] = {}
    i2t: dict[str, dict[str, int]] = {}
    with (folder / "captions.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    for record in records:
        if record["split"] != split:
            continue
        image = Path(record["filename"]).stem
        picture = (folder / "images" / record["filename"]).resolve()
        images.append({"id": image, "image": str(picture)})
        captions = {f"{image}#{n}": text for n, text in enumerate(record["captions"])}
        texts += [{"id": id, "text": text} for id, text in captions.items()]
        t2i |= {id: {image: 1} for id in captions}
        i2t[image] = dict.fromkeys(captions, 1)
    output.mkdir(parents=True, exist_ok=True)
    write_lines(output / "images.jsonl", images)
    write_lines(output / "texts.jsonl", texts)
    write_qrels(output / "qrels.t2i.txt", t2i)
    write_qrels(output / "qrels.i2t.txt", i2t)


def write_lines(path: Path, records: list[dict[str, str]]) -> None:
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    path.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
