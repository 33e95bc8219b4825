"""Reranking by a perturbed BLIP-2: crossrank against the pattern of the published evaluation.

    python benchmarks/blip2.py [--model out/tiny_blip2/seed0] [--batch 256] [--rounds 5] [--json]

200 texts with 32 pictures each of 200 are scored by ITM + ITC with Q-Perturbation.  The published
evaluation goes picture by picture through the texts that list it, 20 at a time, each padded to 35
tokens, and for every 20 computes vision output and subspaces again.  Every rival runs in a process
of its own; the rounds are interleaved; scores are compared before anything is timed.  Without
``--model`` the model has the shape of the trained one and weights by chance, which takes as long.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "research"))

TEXTS, PICTURES, DEPTH = 200, 200, 32
CHUNK, PADDED = 20, 35
RIVALS = ("crossrank", "published pattern")


@dataclass(frozen=True, slots=True)
class Problem:
    """What both rivals are given: a model in memory, pictures on disk, texts, lists, boxes."""

    model: Any
    tokenizer: Any
    paths: list[Path]
    boxes: list[NDArray[np.float32]]
    texts: list[str]
    lists: NDArray[np.int64]


def problem(folder: Path, trained: str) -> Problem:
    """Return the problem, with its pictures in a folder."""
    from PIL import Image

    from tiny_blip2_model import make_model, make_tokenizer, transformers
    from tiny_blip2_scenes import boxes_of, caption, gallery

    torch.manual_seed(0)
    model = (
        transformers.Blip2ForImageTextRetrieval.from_pretrained(trained)
        if trained
        else make_model()
    )
    pictures = gallery("test", PICTURES, 0)
    paths = [folder / f"{row}.png" for row in range(PICTURES)]
    for (scene, _), path in zip(pictures, paths, strict=True):
        Image.fromarray(scene.picture).save(path)
    rng = np.random.default_rng(0)
    lists = np.stack([rng.choice(PICTURES, DEPTH, replace=False) for _ in range(TEXTS)])
    return Problem(
        model.eval(),
        make_tokenizer(),
        paths,
        [boxes_of(scene.things) for scene, _ in pictures],
        [caption(fact) for _, fact in pictures[:TEXTS]],
        lists,
    )


def with_crossrank(given: Problem, batch: int) -> NDArray[np.float64]:
    """Score by the plugin, without anything cached from an earlier call."""
    import crossrank as cr

    gallery = cr.Collection(
        [str(row) for row in range(PICTURES)],
        "image",
        path=[str(path) for path in given.paths],
        boxes=cr.Ragged.from_list(given.boxes),
    )
    queries = cr.Collection([str(row) for row in range(TEXTS)], "text", text=given.texts)
    candidates = cr.Candidates.from_lists(
        [[str(row) for row in each] for each in given.lists],
        query_ids=queries.ids,
        candidate_ids=gallery.ids,
        direction="t2i",
    )
    params = {"model": given.model, "tokenizer": given.tokenizer, "batch_size": batch}
    stage = cr.Stage("qperturb", params=params, fusion=cr.Replace())
    found = cr.Pipeline([stage]).rerank(candidates, queries, gallery).to_similarity()
    return np.take_along_axis(found, given.lists, axis=1).astype(np.float64)


def with_published_pattern(given: Problem) -> NDArray[np.float64]:
    """Score picture by picture, all of a picture's computation again for every 20 texts."""
    from crossrank_qperturb import perturbation, perturbed
    from tiny_blip2_model import itm_logits, picture_embeddings, text_embeddings

    told = given.tokenizer(given.texts, padding="max_length", max_length=PADDED)
    ids, mask = (torch.tensor(told[name]) for name in ("input_ids", "attention_mask"))
    scores = np.zeros(given.lists.shape)
    with torch.inference_mode():
        words = text_embeddings(given.model, ids, mask)
        for picture, path in enumerate(given.paths):
            texts, columns = np.nonzero(given.lists == picture)
            vision, moved = seen(given, path, picture, perturbation)
            with perturbed(given.model, moved):
                itc = (picture_embeddings(given.model, vision)[0] @ words.T).amax(dim=0)
            for start in range(0, len(texts), CHUNK):
                rows = texts[start : start + CHUNK]
                vision, moved = seen(given, path, picture, perturbation)
                times = np.zeros(len(rows), np.int64)
                with perturbed(given.model, moved.take(times)):
                    logits = itm_logits(given.model, vision[times], ids[rows], mask[rows])
                total = logits[:, 1] + itc[rows]
                scores[rows, columns[start : start + CHUNK]] = total.numpy()
    return scores


def seen(given: Problem, path: Path, picture: int, perturbation: Callable[..., Any]) -> Any:
    """Return vision output and perturbation of a picture.

    The published code reads the keys off a pass of the queries through the whole Q-Former.
    """
    import crossrank as cr
    from tiny_blip2_model import picture_embeddings, pixels

    image = np.asarray(cr.open_image(path).convert("RGB"))
    vision = given.model.vision_model(pixel_values=pixels([image])).last_hidden_state
    picture_embeddings(given.model, vision)
    return vision, perturbation(given.model, vision, [given.boxes[picture]])


def serve(rival: str, trained: str, batch: int) -> None:
    """Answer each line of standard input with the seconds of one call; first with the scores."""
    ours = partial(with_crossrank, batch=batch)
    run: Callable[[Problem], NDArray[np.float64]] = (
        ours if rival == "crossrank" else with_published_pattern
    )
    with tempfile.TemporaryDirectory() as folder:
        given = problem(Path(folder), trained)
        count = Counter[str]()
        hook = given.model.vision_model.register_forward_hook(
            lambda module, args, output: count.update(images=len(output[0]))
        )
        scores = run(given)
        hook.remove()
        print(json.dumps({"scores": scores.tolist(), "images": count["images"]}), flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            run(given)
            print(time.perf_counter() - start, flush=True)


def compare(rounds: int, trained: str, batch: int) -> dict[str, Any]:
    """Return per rival the seconds of every round and the images that vision saw in one."""
    running = {rival: started(rival, trained, batch) for rival in RIVALS}
    first = {rival: json.loads(answer(process)) for rival, process in running.items()}
    ours, theirs = (np.array(first[rival]["scores"]) for rival in RIVALS)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    seconds: dict[str, list[float]] = {rival: [] for rival in RIVALS}
    for _ in range(rounds):
        for rival, process in running.items():
            seconds[rival].append(float(answer(process, "once\n")))
    for process in running.values():
        process.kill()
    return {
        rival: {"seconds": seconds[rival], "images": first[rival]["images"]} for rival in RIVALS
    }


def started(rival: str, trained: str, batch: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--serve", rival, "--model", trained]
    command += ["--batch", str(batch)]
    pipe = subprocess.PIPE
    # crossrank gives torch as many threads as the process has cores, whatever torch was told before
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=alone)


def answer(process: subprocess.Popen[str], request: str = "") -> str:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(request)
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a rival crashed: {process.args!r}")
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="", help="the folder of a trained model")
    parser.add_argument(
        "--batch", type=int, default=256, help="pairs that crossrank scores at once"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        torch.set_num_threads(1)
        serve(given.serve, given.model, given.batch)
        return
    found = compare(given.rounds, given.model, given.batch)
    if given.json:
        print(json.dumps(found))
        return
    pairs = TEXTS * DEPTH
    setup = f"batches of {given.batch}, one thread, torch {torch.__version__}"
    print(f"{TEXTS} texts × {DEPTH} pictures, {setup}")
    print("rival               min s   median s   pairs/s (median)   images through vision")
    for rival, each in found.items():
        middle = statistics.median(each["seconds"])
        figures = f"{min(each['seconds']):7.2f} {middle:10.2f} {pairs / middle:18.0f}"
        print(f"{rival:18s}{figures} {each['images']:23d}")
    ours, theirs = (found[rival]["seconds"] for rival in RIVALS)
    least, middle = min(theirs) / min(ours), statistics.median(theirs) / statistics.median(ours)
    print(f"published pattern / crossrank: {least:.1f} (min), {middle:.1f} (median)")


if __name__ == "__main__":
    main()
