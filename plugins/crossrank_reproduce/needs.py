"""What a row needs, looked for: there or not, and with the content it should have.

Of many files neither size nor digest is published.  Theirs are kept at first sight, in
``crossrank-files.json`` in the folder of the data, and compared from then on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossrank.errors import FormatError, StoreError
from crossrank.plugin.files import atomic_bytes, read_json
from crossrank_reproduce.tables import Need, Places

RECORD = "crossrank-files.json"
Known = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of a need.

    Parameters
    ----------
    need, path
        What, and where it was looked for.
    state
        ``"missing"``, ``"wrong"``, ``"new"`` (there, its size and digest not known yet) or
        ``"right"``.
    said
        In words.
    seen
        Size and SHA-256 of a file; empty for a folder, or where the content was not read.
    """

    need: Need
    path: Path
    state: str
    said: str
    seen: Mapping[str, Any]

    @property
    def usable(self) -> bool:
        """Whether a run can read it."""
        return self.state in ("new", "right")

    def advice(self) -> str:
        """Return what to put where."""
        where = f"download it from {self.need.url}" if self.need.url else "bring it"
        return f"{where} ({self.need.what}) to {self.path}"


def look(need: Need, places: Places, known: Known, *, content: bool) -> Found:
    """Look for a file or folder.

    Parameters
    ----------
    need, places
        What, and below which folders.
    known
        What was seen of it before: of `read_record`.
    content
        Whether to read it for its digest; otherwise only its size is compared.
    """
    path = Path(places.fill(need.path))
    if need.is_folder:
        if not path.is_dir() or not any(path.iterdir()):
            return Found(need, path, "missing", "missing", {})
        return Found(need, path, "right", "a folder; a run checks the files that it reads", {})
    if not path.is_file():
        return Found(need, path, "missing", "missing", {})
    seen: dict[str, Any] = {"size": path.stat().st_size}
    if content:
        seen["sha256"] = sha256(path)
    wanted = {"size": need.size, "sha256": need.sha256}
    source = "published"
    if need.size is None and need.sha256 is None:
        wanted, source = dict(known.get(need.name, {})), "kept at first sight"
    for what, value in wanted.items():
        if value is not None and what in seen and seen[what] != value:
            unit = " bytes" if what == "size" else ""
            said = f"{what} {seen[what]}{unit} instead of {value}{unit}, {source}"
            return Found(need, path, "wrong", said, seen)
    compared = [what for what in seen if wanted.get(what) is not None]
    if not compared:
        unread = need.sha256 is not None
        said = "its digest is compared by the run" if unread else "its digest is not published"
        state = "right" if unread else "new"
        return Found(need, path, state, f"{seen['size']:,} bytes; {said}", seen)
    return Found(need, path, "right", f"{' and '.join(compared)} as {source}", seen)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, hashlib.sha256).hexdigest()


def check(found: Iterable[Found]) -> None:
    """Refuse files of another size or digest."""
    for each in found:
        if each.state == "wrong":
            raise StoreError(
                f"reproduce: {each.path} has {each.said}; {each.advice()} again, or give "
                "--no-check (check=False) to run with it as it is"
            )


def read_record(data: Path) -> Known:
    """Return what was seen at first sight, by name; empty without a record."""
    path = data / RECORD
    if not path.is_file():
        return {}
    try:
        record = read_json(path)
        if not isinstance(record, dict) or not all(isinstance(v, dict) for v in record.values()):
            raise ValueError("it is no object of objects")
    except (OSError, ValueError) as error:
        raise FormatError(
            f"reproduce: {path} cannot be read: {error}; remove it, and sizes and digests are "
            "taken anew"
        ) from error
    return record


def keep(found: Iterable[Found], data: Path) -> dict[str, str]:
    """Keep size and digest of files seen for the first time; return by name what to say."""
    new = {each.need.name: dict(each.seen) for each in found if each.state == "new"}
    if not new:
        return {}
    record = {**read_record(data), **new}
    content = json.dumps(record, indent=1, sort_keys=True).encode("utf-8") + b"\n"
    where = f"kept in {data / RECORD}"
    try:
        atomic_bytes(data / RECORD, content)
    except StoreError as error:  # data that one may only read
        where = f"could not be kept: {error}"
    return {name: f"size and digest of {name} are not published; {where}" for name in new}
