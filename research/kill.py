r"""Kill crossrank at random moments, resume, and compare with a run that nobody disturbed.

    python research/kill.py --kills 100 -o out/kill.json

Encoding, reranking into a folder, building and refining a bank, and an ablation, in turn.  Every
case kills one to four processes that work on the same folder, each with its whole group by SIGKILL:
half of them at a random time, half just before a random change of the file system.  The call that
goes on from there must end well, leave what an undisturbed one leaves, byte for byte, and nothing
hidden.  Counts add up over runs; whatever goes wrong is kept with the seed that shows it again
(those by a time: about).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank.plugin.files import atomic_file
from kill_works import WORKS, Letters, Products, Work, write_inputs

MOST_KILLS = 4
"""Of one folder, before it is let finish."""
HANGS = 900.0
"""Seconds after which a process hangs; undisturbed ones take less than one on a quiet machine."""
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}
"""Events of Python's audit that change the file system, besides ``open`` for writing."""
HIDDEN = re.compile(r"\..+\.[0-9a-f]{12}|.+\.partial")
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Kill:
    """When a process is killed: after so many seconds, or before a change of the file system."""

    seconds: float | None = None
    change: int | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended: was it killed, what did it say, how much did it change and import."""

    killed: bool
    said: str
    seconds: float
    changes: int = 0
    modules: tuple[str, ...] = ()


def process(work: Work, inputs: Path, own: Path, kill: Kill = Kill()) -> End:
    """Let a process of a group of its own do the work, and kill it there.

    It is forked from this one, which has everything imported and nothing running.
    """
    reading, writing = os.pipe()
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(work, inputs, own, kill, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb", buffering=0) as answer:
            seconds = HANGS if kill.seconds is None else kill.seconds
            ready, _, _ = select.select([answer], [], [], seconds)
            if not ready:
                _kill_group(child)
            said = b"".join(iter(lambda: answer.read(1 << 16), b""))
    finally:
        _, status = os.waitpid(child, 0)
    took = time.monotonic() - begun
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        hung = kill == Kill()
        return End(True, "it hangs" if hung else "", took)
    record = json.loads(said) if said else {"said": f"ended with status {status}"}
    return End(False, seconds=took, **record)


def _kill_group(child: int) -> None:
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:  # it has not made its group yet
        os.kill(child, signal.SIGKILL)


def _be_the_child(work: Work, inputs: Path, own: Path, kill: Kill, writing: int) -> None:
    os.setpgid(0, 0)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    changes = 0

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal changes
        opens = event == "open" and isinstance(arguments[2], int)
        if event in CHANGES or (opens and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            changes += 1
            if changes == kill.change:
                os.killpg(0, signal.SIGKILL)

    sys.addaudithook(audit)
    said = ""
    try:
        work.run(inputs, own)
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
    with os.fdopen(writing, "wb") as answer:
        record = {"said": said, "changes": changes, "modules": list(sys.modules)}
        answer.write(json.dumps(record).encode())
    os._exit(0)


def digests(work: Work, own: Path) -> dict[str, str]:
    """Return a digest of every file that must be equal."""
    paths = {path for pattern in work.results for path in own.glob(pattern) if path.is_file()}
    return {
        str(path.relative_to(own)): hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        for path in sorted(paths)
    }


@dataclass(slots=True)
class Undisturbed:
    """What a run leaves that nobody kills, how long it takes and what it changes."""

    left: Mapping[str, str]
    changes: int
    seconds: float


@dataclass(slots=True)
class Kills:
    """Everything that is killed here, and what came of it."""

    inputs: Path
    scratch: Path
    undisturbed: dict[str, Undisturbed] = field(default_factory=dict)

    def look(self, name: str) -> None:
        """Do a work undisturbed, twice: the first time tells what is to be imported before."""
        for number in range(2):
            own = self._own()
            end = process(WORKS[name], self.inputs, own)
            if end.said:
                raise SystemExit(f"{name} fails undisturbed: {end.said}")
            left = digests(WORKS[name], own)
            if number and left != self.undisturbed[name].left:
                raise SystemExit(f"{name} leaves something else every time")
            self.undisturbed[name] = Undisturbed(left, end.changes, end.seconds)
            for module in end.modules:  # so that every other process has them
                with suppress(Exception):
                    import_module(module)

    def case(self, name: str, seed: int) -> tuple[int, str | None]:
        """Kill one work; return how often, and what went wrong, None if nothing did."""
        random = np.random.default_rng(seed)
        own, work, expected = self._own(), WORKS[name], self.undisturbed[name]
        killed = 0
        for _ in range(int(random.integers(1, MOST_KILLS + 1))):
            kill = _moment(random, expected)
            end = process(work, self.inputs, own, kill)
            killed += end.killed
            if end.said:
                return killed, f"going on: {end.said}"
        end = process(work, self.inputs, own)
        if end.said:
            return killed, f"going on: {end.said}"
        # of a busy machine: what an undisturbed run takes now
        expected.seconds += 0.2 * (end.seconds - expected.seconds) if not killed else 0
        left = digests(work, own)
        if left != expected.left:
            names = sorted(dict(set(left.items()) ^ set(expected.left.items())))
            return killed, f"left something else: {names[:3]}"
        hidden = [path.name for path in own.rglob("*") if HIDDEN.fullmatch(path.name)]
        return killed, f"left behind: {hidden[:3]}" if hidden else None

    def _own(self) -> Path:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()
        return self.scratch


def _moment(random: Random, expected: Undisturbed) -> Kill:
    if random.integers(0, 2):
        return Kill(seconds=float(random.uniform(0, expected.seconds)))
    return Kill(change=int(random.integers(1, expected.changes + 1)))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--kills", type=int, default=100, help="end after so many more")
    arguments.add_argument("--only", choices=list(WORKS), action="append", help="some commands")
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    record: dict[str, Any] = {"seed": 0, "cases": 0, "kills": dict.fromkeys(WORKS, 0), "faults": []}
    if given.output.exists():
        record = json.loads(given.output.read_text(encoding="utf-8"))
    cr.register(Letters)
    cr.register(Products)
    memory = Path("/dev/shm")
    names = given.only or list(WORKS)
    wanted = sum(record["kills"].values()) + given.kills
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        inputs = Path(folder) / "inputs"
        inputs.mkdir()
        write_inputs(inputs)
        kills = Kills(inputs, Path(folder) / "scratch")
        for name in names:
            kills.look(name)
        while sum(record["kills"].values()) < wanted:
            name, seed = names[record["cases"] % len(names)], record["seed"]
            killed, wrong = kills.case(name, seed)
            record["seed"] += 1
            record["cases"] += 1
            record["kills"][name] += killed
            if wrong is not None:
                record["faults"].append({"kind": name, "seed": seed, "what": wrong})
                sys.stdout.write(json.dumps(record["faults"][-1]) + "\n")
            with atomic_file(given.output) as file:
                file.write(json.dumps(record, indent=1) + "\n")
    total = sum(record["kills"].values())
    sys.stdout.write(f"{total:,} kills so far, {len(record['faults'])} faults\n")


if __name__ == "__main__":
    main()
