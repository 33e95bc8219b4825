"""vlm beside the `CrossEncoder` of sentence-transformers: the same model, the same pairs.

    python benchmarks/vlm.py [--sizes toy large] [--rounds 3] [--pairs 40] [--clock cpu]
                             [--threads 2] [--json]

LLaVA with random weights, saved as a CrossEncoder, so that both read one folder.  ``toy`` has some
57 thousand parameters, ``large`` 76 million, half of them in the vision tower, which so has as much
to do for a picture as the language model, as in Qwen3-VL of 2 billion.

texts        one picture × 40 texts: the query stands first, and with it the picture
asked last   40 texts × one picture, the document first: each its own query
one picture  the same with the query first: the prompts begin with nothing in common
pictures     one text × 40 pictures: the query stands first, and every picture behind it
seen before  the same, with the vision outputs of an earlier query

Times are from pictures on disk to scores, models loaded, by one thread unless ``--threads`` gives
both sides more; rounds alternate.  On a busy machine ``--clock cpu`` counts what the processor
spent on it and not the waiting.
``ratio`` is ours over theirs, by the minimum and by the median; ``passes`` how many pictures went
through our vision tower in a round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import crossrank as cr

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from toys.cross_encoder import QUERY_LAST, save_cross_encoder

WORDS = ("a", "red", "blue", "dog", "cat", "house", "tree", "boat", "runs", "near", "on", "the")
KNOWN = (*(f" {word}" for word in WORDS), "Judge", "query", "document", "answer")
"""One token each, as in released vocabularies; all else is read by bytes."""
CASES = ("texts", "asked last", "one picture", "pictures", "seen before")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
SIZES: dict[str, dict[str, Any]] = {
    "toy": {},
    "large": {
        "text": {
            "hidden_size": 640,
            "intermediate_size": 1792,
            "num_hidden_layers": 8,
            "num_attention_heads": 10,
            "num_key_value_heads": 5,
            "head_dim": 64,
        },
        "vision": {
            "hidden_size": 512,
            "intermediate_size": 2048,
            "num_hidden_layers": 12,
            "num_attention_heads": 8,
            "image_size": 224,
            "patch_size": 16,
        },
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--clock", default="wall", choices=list(CLOCKS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    records = []
    for size in given.sizes:
        with tempfile.TemporaryDirectory() as folder:
            records += compare(
                Path(folder), size, given.pairs, given.rounds, given.cases, CLOCKS[given.clock]
            )
    if given.json:
        print(json.dumps(records))
        return
    columns = (
        "size",
        "case",
        "parameters",
        "ours",
        "theirs",
        "ratio",
        "median",
        "passes",
        "differ",
    )
    print("".join(f"{name:>12}" for name in columns))
    for row in records:
        print("".join(f"{_shown(row[name]):>12}" for name in columns))


def compare(
    folder: Path,
    size: str,
    pairs: int,
    rounds: int,
    chosen: Sequence[str],
    clock: Callable[[], float] = time.perf_counter,
) -> list[dict[str, Any]]:
    """Return a record for each case."""
    from sentence_transformers import CrossEncoder

    rng = np.random.default_rng(0)
    paths = [str(folder / f"{number}.png") for number in range(pairs)]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (240, 240, 3), dtype=np.uint8)).save(path)
    said = [" ".join(rng.choice(WORDS, 12)) for _ in range(pairs)]
    texts = cr.Collection([f"t{n}" for n in range(pairs)], "text", text=said)
    images = cr.Collection([f"i{n}" for n in range(pairs)], "image", path=paths)
    cases = {
        "texts": (None, images.take([0]), texts, [(paths[0], text) for text in said]),
        "asked last": (QUERY_LAST, texts, images.take([0]), [(text, paths[0]) for text in said]),
        "one picture": (None, texts, images.take([0]), [(text, paths[0]) for text in said]),
        "pictures": (None, texts.take([0]), images, [(said[0], path) for path in paths]),
    }
    cases["seen before"] = cases["pictures"]
    records = []
    for case in chosen:
        template, queries, gallery, asked = cases[case]
        saved = folder / f"{size}-{case.replace(' ', '-')}"
        save_cross_encoder(saved, template, words=KNOWN, **SIZES[size])
        theirs = CrossEncoder(str(saved), device="cpu", local_files_only=True)
        stage = cr.Stage(
            "vlm",
            fusion=cr.Replace(),
            params={"model": saved, "preset": "sentence-transformers"},
        )
        lists = cr.Candidates.from_lists(
            {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
        )
        pipeline = cr.Pipeline(stage)
        scorer: Any = stage.scorer

        def ours(
            pipeline: Any = pipeline,
            scorer: Any = scorer,
            sides: Any = (lists, queries, gallery),
            forget: bool = case != "seen before",
        ) -> Any:
            if forget:
                scorer._memory = None  # every round sees its pictures again
            threads = torch.get_num_threads()
            return pipeline.rerank(*sides, threads=threads).to_similarity().ravel()

        def rival(theirs: Any = theirs, asked: Any = asked) -> Any:
            return theirs.predict(asked, batch_size=8, show_progress_bar=False)

        differ = float(np.abs(ours() - rival()).max())
        seen = scorer.encoded_images
        times = alternate({"ours": ours, "theirs": rival}, rounds, clock)
        passes = (scorer.encoded_images - seen) / rounds
        records.append(
            {
                "size": size,
                "case": case,
                "parameters": sum(each.numel() for each in theirs.parameters()),
                "ours": min(times["ours"]),
                "theirs": min(times["theirs"]),
                "ratio": min(times["ours"]) / min(times["theirs"]),
                "median": statistics.median(times["ours"]) / statistics.median(times["theirs"]),
                "passes": passes,
                "differ": differ,
            }
        )
    return records


def alternate(
    rivals: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Return the seconds of each, one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, run in rivals.items():
            start = clock()
            run()
            times[name].append(clock() - start)
    return times


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1e}" if 0 < value < 1e-3 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main()
