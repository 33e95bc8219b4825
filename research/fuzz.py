r"""Feed every reader of crossrank damaged files, for as long as you like; counts add up over runs.

    python research/fuzz.py --cases 10000 -o out/fuzz.json

A valid file of each kind is made, its bytes are changed, and the reader that opens it may answer
with a result or with an error of `crossrank.errors`, within five seconds and a gigabyte of memory,
and must write nothing.  Whatever else it does is printed with the seed that shows it again, and
kept in the file.  All cases are run in one process, in a folder in memory where there is one.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from PIL import Image

import crossrank as cr
from crossrank.errors import CrossrankError
from crossrank.evaluation import read_qrels
from crossrank_ablation.config import read_study
from crossrank_composed.triplets import read_cirr, read_edits, read_fashioniq
from crossrank_dialogue import read_dialogues
from crossrank_graphs import PrecomputedGraphs
from crossrank_knowledge import KnowledgeBank

SECONDS = 5.0
"""A reader that takes longer hangs."""
MOST_BYTES = 1 << 30
"""A reader that takes more memory fails."""
LOOK_EVERY = 500
"""Cases between two looks at what was written."""
INSERTED = [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 2000, b"NaN", b"-1", b"1e999", b"\r", b"\n"]
INSERTED += [b"9" * 30, b"null", b'"', b"{}", b"../../x", b"\\ud800", b"true", b" ", b"0"]

Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of file: how a valid one is made, which of its files are damaged, and who opens it."""

    make: Callable[[Path], None]
    read: Callable[[Path], Any]


class _Nothing(cr.Encoder):
    """An encoder that says nothing of an item but its length."""

    info = cr.EncoderInfo("nothing", "says nothing", {"text": ("embedding",)}, ("embedding",))

    def encode_batch(self, items: Any, modality: str, features: Any) -> dict[str, Any]:
        return {"embedding": np.ones((len(items), 1), np.float32)}


def _json(record: Any) -> Callable[[Path], None]:
    return _text(json.dumps(record))


def _text(content: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_text(content, encoding="utf-8")

    return make


def _collection(path: Path) -> None:
    tokens = cr.Ragged.from_list([np.eye(4, dtype=np.float32)[:n] for n in (1, 2, 3)])
    embedding = np.eye(3, 4, dtype=np.float32)
    cr.Collection(["a", "b", "c"], "image", embedding=embedding, tokens=tokens).save(path)


def _rankings(path: Path) -> None:
    queries = cr.Collection(["q"], "text", embedding=np.eye(1, 4, dtype=np.float32))
    gallery = cr.Collection(["a", "b"], "image", embedding=np.eye(2, 4, dtype=np.float32))
    lists = cr.Candidates.from_lists({"q": ["a", "b"]}, scores={"q": [1.0, 0.5]})
    stage = cr.Stage("dsl")
    cr.Pipeline(stage).rerank(lists, queries, gallery).save(path)


def _bank(path: Path) -> None:
    KnowledgeBank(
        ["dog", "cat"], np.eye(2, 4, dtype=np.float32), counts=[3, 2], encoder="lite"
    ).save(path)


def _picture(suffix: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        pixels = np.arange(27 * 31 * 3, dtype=np.uint8).reshape(27, 31, 3)
        Image.fromarray(pixels).save(path, format=suffix)

    return make


def _walk(collection: cr.Collection) -> None:
    for name in collection.features:
        collection[name][0]


STUDY = """name = "x"
[grid]
"filip.weight" = [0.5, 1.0]
[data.report]
queries = "q"
gallery = "g"
qrels = "r"
[stages.filip]
depth = 10
"""

GRAPHS = {
    "7": {
        "caption": "a dog on grass",
        "entities": [
            {"id": 0, "name": "dog", "attributes": ["black"]},
            {"id": 1, "name": "grass", "attributes": []},
        ],
        "relations": [[0, 1, ["lie"], "on"]],
    }
}

READERS = {
    "run": Reader(_text("q1 Q0 a 1 0.5 x\nq1 Q0 b 2 0.25 x\n"), cr.Candidates.from_trec),
    "qrels": Reader(_text("q1 0 a 1\nq2 0 b 1\n"), read_qrels),
    "items.jsonl": Reader(
        _text('{"id": "a", "text": "a dog"}\n{"id": 2, "text": "two"}\n'),
        lambda path: cr.encode(_Nothing(), path),
    ),
    "captions.json": Reader(
        _json({"images": [{"filename": "a.jpg", "split": "test", "sentences": [{"raw": "a"}]}]}),
        cr.read_captions,
    ),
    "collection": Reader(_collection, lambda path: _walk(cr.Collection.open(path))),
    "rankings.safetensors": Reader(_rankings, cr.Rankings.open),
    "bank": Reader(_bank, lambda path: KnowledgeBank.open(path)),
    "study.toml": Reader(_text(STUDY), read_study),
    "dialogues.json": Reader(
        _json([{"img": "a.jpg", "dialog": ["a dog", "is it black? yes"]}]), read_dialogues
    ),
    "graphs.json": Reader(_json(GRAPHS), PrecomputedGraphs.open),
    "cirr.json": Reader(
        _json([{"pairid": 1, "reference": "a", "target_hard": "b", "caption": "x"}]), read_cirr
    ),
    "fashioniq.json": Reader(
        _json([{"candidate": "a", "target": "b", "captions": ["x", "y"]}]), read_fashioniq
    ),
    "edits.jsonl": Reader(_text('{"reference": "a", "target": "b", "edit": "x"}\n'), read_edits),
    **{
        f"picture.{suffix}": Reader(_picture(suffix), lambda path: cr.open_image(path).load())
        for suffix in ("jpeg", "png", "tiff", "webp", "gif", "bmp")
    },
}


def damaged(content: bytes, random: Random) -> bytes:
    """Return the bytes of a file after one to three changes."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 4))):
        place = int(random.integers(0, max(1, len(data))))
        match int(random.integers(0, 6)):
            case 0 if data:
                data[place % len(data)] ^= 1 << int(random.integers(0, 8))
            case 1:
                del data[place:]
            case 2:
                data[place:place] = INSERTED[int(random.integers(0, len(INSERTED)))]
            case 3:
                del data[place : place + int(random.integers(1, 9))]
            case 4:
                data[place:place] = data[place : place + int(random.integers(1, 60))]
            case _ if data:
                some = INSERTED[int(random.integers(0, len(INSERTED)))]
                data[place : place + len(some)] = some
    return bytes(data)


def case(kind: str, seed: int, valid: Path, scratch: Path) -> str | None:
    """Run one case; return what went wrong, None if nothing did.

    Parameters
    ----------
    kind
        Of `READERS`.
    seed
        Of the damage.
    valid
        A file or folder of that kind.
    scratch
        Where a copy is damaged; a folder's other files stay there for the next case.
    """
    random = np.random.default_rng(seed)
    target = scratch / valid.name
    if not valid.is_dir():
        target.write_bytes(damaged(content_of(valid), random))
        return answer(kind, target)
    if not target.is_dir():
        shutil.copytree(valid, target)
    names = names_in(valid)
    name = names[int(random.integers(0, len(names)))]
    content = content_of(valid / name)
    (target / name).write_bytes(damaged(content, random))
    try:
        return answer(kind, target)
    finally:
        (target / name).write_bytes(content)


@cache
def content_of(path: Path) -> bytes:
    """Return the bytes of a valid file, read once."""
    return path.read_bytes()


@cache
def names_in(folder: Path) -> list[str]:
    """Return the names in a valid folder, read once."""
    return sorted(path.name for path in folder.iterdir())


def answer(kind: str, target: Path) -> str | None:
    """Let a reader open a file; return what it should not have answered."""
    try:
        with time_limit():
            READERS[kind].read(target)
    except CrossrankError:
        return None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return f"{type(error).__name__}: {str(error)[:120]} ({where})"
    return None


@contextmanager
def memory_limit() -> Iterator[None]:
    """Refuse memory that exceeds what the process has by `MOST_BYTES`."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:  # not Linux
        yield
        return
    most = pages * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def written(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of everything in a folder but what is being damaged."""
    found = {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if inside.parts[0] == "scratch" and (len(inside.parts) < 3 or path.is_file()):
            found[str(inside)] = (0, 0)
        elif path.is_file():
            state = path.stat()
            found[str(inside)] = (state.st_size, state.st_mtime_ns)
    return found


@contextmanager
def time_limit() -> Iterator[None]:
    """Raise TimeoutError after `SECONDS` of work; on a busy machine that takes longer."""
    begun = time.process_time()

    def over(number: int, frame: FrameType | None) -> None:
        left = SECONDS - (time.process_time() - begun)
        if left <= 0:
            raise TimeoutError("it hangs")
        signal.setitimer(signal.ITIMER_REAL, max(left, 0.01))

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fuzz(cases: int, first: int, seconds: float = float("inf")) -> tuple[int, list[dict[str, Any]]]:
    """Run cases of every kind in turn; return how many were run, and the faults.

    Parameters
    ----------
    cases
        How many.
    first
        The seed of the first; those behind it follow.
    seconds
        End early after so many.
    """
    kinds, started = list(READERS), time.monotonic()
    faults: list[dict[str, Any]] = []
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        valid, scratch, here = (folder / each for each in ("valid", "scratch", "here"))
        for each in (valid, scratch, here):
            each.mkdir()
        for kind in kinds:
            READERS[kind].make(valid / kind)
            case(kind, first, valid / kind, scratch)
        before = written(folder)
        with chdir(here), memory_limit():
            for seed in range(first, first + cases):
                if time.monotonic() - started > seconds:
                    return seed - first, faults
                kind = kinds[seed % len(kinds)]
                if (wrong := case(kind, seed, valid / kind, scratch)) is not None:
                    faults.append({"kind": kind, "seed": seed, "what": wrong})
                if seed % LOOK_EVERY == 0 and (now := written(folder)) != before:
                    names = sorted(set(now.items()) ^ set(before.items()))
                    faults.append({"kind": "any", "seed": seed, "what": f"wrote {names[:3]}"})
                    before = now
    return cases, faults


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--cases", type=int, default=10_000)
    arguments.add_argument("--seconds", type=float, default=float("inf"), help="end early")
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    record: dict[str, Any] = {"cases": 0, "faults": []}
    if given.output.exists():
        record = json.loads(given.output.read_text(encoding="utf-8"))
    done, started = 0, time.monotonic()
    warnings.simplefilter("ignore")  # Pillow's, of damaged tags
    while done < given.cases and (left := given.seconds - (time.monotonic() - started)) > 0:
        ran, faults = fuzz(min(20_000, given.cases - done), record["cases"], left)
        record = {"cases": record["cases"] + ran, "faults": record["faults"] + faults}
        done += ran
        partial = given.output.with_suffix(".partial")
        partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        partial.replace(given.output)
        for fault in faults:
            print(json.dumps(fault))
    print(f"{record['cases']:,} cases so far, {len(record['faults'])} faults")


if __name__ == "__main__":
    main()
