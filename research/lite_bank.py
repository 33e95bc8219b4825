r"""Build the bank that ``mack`` ships for the encoder ``lite``: of Flickr8k's train captions.

    python research/lite_bank.py --features FEATURES -o plugins/crossrank_mack/bank_lite

FEATURES holds ``train`` with the collections ``regions`` and ``texts`` of ``lite``.  The bank is
(a) *sharp, white* of docs/mack.md: nouns with their adjectives of at least three pictures, each the
mean of a picture's cells, kept to the 25 cells that agree best, on the 256 strongest axes.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_knowledge import CaptionWords, SpacyParser, build, sharpened, whitened

CAPTIONS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    regions = cr.Collection.open(given.features / "train" / "regions")
    texts = cr.Collection.open(given.features / "train" / "texts")["text"]
    captions = [list(texts[row : row + CAPTIONS]) for row in range(0, len(texts), CAPTIONS)]
    words = CaptionWords.from_captions([Path(id) for id in regions.ids], captions, SpacyParser())

    def means() -> Iterator[tuple[str, NDArray[np.float32]]]:
        for own, cells in zip(words.words, regions["regions"], strict=True):
            yield " ".join(own), cells.astype(np.float32).mean(axis=0)

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bank = build(means(), work / "bank", encoder=regions.encoder, min_count=3)
        some = regions.take(range(0, len(regions), 4))
        white = whitened(bank, some)
        labelled = zip(words.words, regions["regions"], strict=True)
        sharp = build(sharpened(white, labelled, keep=25), work / "sharp", encoder=regions.encoder)
        whitened(sharp, some).save(given.output)
    logging.info("%s: %d words", given.output, len(sharp))


if __name__ == "__main__":
    main()
