r"""Let schemathesis ask a running ``crossrank serve`` by its ``/openapi.json``; counts add up.

    pip install schemathesis
    python research/serve_schema.py --seconds 600 -o out/serve_schema.json

The server is a process of its own (the encoder lite, ``filip``, a gallery of four pictures) on a
free port of this machine.  schemathesis (4.32) reads what the routes say that they take and answer,
and sends what fits and what does not; what it finds is printed.  How many requests there were and
with what status is read from the server's own ``/metrics``; its memory is looked at before, when
the first requests are answered, and after.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from serve_fuzz import Found, added, pictures_in, write

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"
CHECKS += ",response_schema_conformance"
LIMITS = ("feature_bytes=4194304", "documents=40", "text_characters=5000", "body_bytes=300000")


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, int]]:
    """Start a server over a folder of pictures; yield its address and its process."""
    command = [sys.executable, "-m", "crossrank", "serve", "--port", "0", "--gallery", str(folder)]
    command += [f"--limit={each}" for each in LIMITS]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert child.stdout is not None
        url = child.stdout.readline().split()[2]
        while not _is_ready(url):
            time.sleep(0.2)
        yield url, child.pid
    finally:
        child.terminate()
        child.wait(60)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


def answered(url: str) -> Counter[int]:
    """Return how often the server gave each status."""
    text = httpx.get(f"{url}/metrics", timeout=60).text
    pattern = r'^crossrank_requests_total\{.*status="(\d+)"\} (\S+)$'
    found: Counter[int] = Counter()
    for status, count in re.findall(pattern, text, re.MULTILINE):
        found[int(status)] += int(float(count))
    return found


def held(pid: int) -> int:
    """Return how many MB a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


def asked(url: str, pid: int, program: Path, seconds: int, folder: Path) -> Found:
    """Let schemathesis ask, for so many seconds, from a folder that it may write to."""
    found, before = Found(memory=[held(pid)]), answered(url)
    command = [str(program), "run", f"{url}/openapi.json", "--checks", CHECKS, "--no-color"]
    command += ["--phases", "coverage,fuzzing", "--max-time", str(seconds), "--continue-on-failure"]
    command += ["--suppress-health-check", "all", "--request-timeout", "60", "--warnings", "off"]
    with subprocess.Popen(command, cwd=folder) as child:
        while child.poll() is None:
            time.sleep(min(60, seconds))
            found.memory.append(held(pid))
    after = answered(url)
    found.statuses = after - before
    found.requests = found.statuses.total()
    found.memory.append(held(pid))
    if child.returncode:
        found.faults.append({"what": f"schemathesis ended with {child.returncode}"})
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=int, default=600)
    arguments.add_argument("--program", default="schemathesis", help="where it is installed")
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    program = shutil.which(given.program)
    if program is None:
        arguments.error(f"{given.program} is not installed; pip install schemathesis")
    before: dict[str, Any] = {"requests": 0, "statuses": {}, "faults": [], "runs": []}
    if given.output.exists():
        before = json.loads(given.output.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        gallery, work = Path(folder, "gallery"), Path(folder, "work")
        for each in (gallery, work):
            each.mkdir()
        pictures_in(gallery)
        with running(gallery) as (url, pid):
            found = asked(url, pid, Path(program).absolute(), given.seconds, work)
    record = added(before, found)
    write(record, given.output)
    print(
        f"{record['requests']:,} requests so far, {len(record['faults'])} faults; statuses "
        f"{record['statuses']}; MB every minute of this run {found.memory}"
    )


if __name__ == "__main__":
    main()
