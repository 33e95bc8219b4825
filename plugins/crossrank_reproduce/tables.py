"""The tables: rows with what they need, how they are run, and what was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from crossrank.errors import InputError, nearest
from crossrank.plugin.files import read_toml

HERE = Path(__file__).parent
FOLDER = HERE / "tables"


@dataclass(frozen=True, slots=True)
class Places:
    """Where things lie; a str of a table may name them in braces.

    Parameters
    ----------
    data, weights
        The folders of data sets and of checkpoints.
    made
        The folder of what a row converts.
    """

    data: Path
    weights: Path
    made: Path

    def fill(self, value: Any) -> Any:
        """Return a value of a table with the folders' names put in, in lists and mappings too."""
        if isinstance(value, str):
            for name in ("data", "weights", "made"):
                value = value.replace("{" + name + "}", str(getattr(self, name)))
            return value
        if isinstance(value, Mapping):
            return {name: self.fill(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each) for each in value]
        return value


@dataclass(frozen=True, slots=True)
class Need:
    """A file or folder that a row needs.

    Parameters
    ----------
    name
        What it is called here.
    path
        Where it has to lie, with ``{data}`` or ``{weights}``; a folder ends with ``/``.
    what
        What it is, and how it is made where it cannot simply be downloaded.
    url
        Where it comes from; empty if it is not published.
    size
        In bytes, where known.
    sha256
        Of its content, where known.
    """

    name: str
    path: str
    what: str
    url: str = ""
    size: int | None = None
    sha256: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path.endswith("/")


@dataclass(frozen=True, slots=True)
class Row:
    """One published row.

    Parameters
    ----------
    table, id
        Together its name, ``table/id``.
    system
        What is measured.
    kind
        ``"retrieval"`` (pictures and captions), ``"composed"`` (a picture with an edit looks for a
        picture), ``"mixed"`` (a corpus of texts, pictures and both) or ``"pairs"`` (similarities).
    needs
        What has to be there.
    traps
        What in the protocol moves the figures.
    published
        Direction (or ``"both"``, ``"all"``, ``"similarity"``) → measure → figure.
    dataset
        Its entry of ``datasets.toml``; empty for ``"pairs"``.
    settings
        All else of the row: encoder, base, stages and so on.
    """

    table: str
    id: str
    system: str
    kind: str
    needs: tuple[Need, ...]
    traps: tuple[str, ...]
    published: Mapping[str, Mapping[str, float]]
    dataset: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``table/id``."""
        return f"{self.table}/{self.id}"


@dataclass(frozen=True, slots=True)
class Table:
    """A published table.

    Parameters
    ----------
    name, title, paper
        What it is called, and where it was published.
    rows
        Its rows.
    """

    name: str
    title: str
    paper: str
    rows: tuple[Row, ...]


def table_names() -> tuple[str, ...]:
    """Return the names of the tables."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def read_table(name: str) -> Table:
    """Return a table, or with ``table/row`` the table with this row only.

    Raises
    ------
    InputError
        If there is no such table or row, with the nearest names.
    """
    stem, _, id = name.partition("/")
    if stem not in table_names():
        raise InputError(f"reproduce: no table {name!r}{nearest(stem, table_names())}")
    table = _table(stem)
    if not id:
        return table
    rows = tuple(row for row in table.rows if row.id == id)
    if not rows:
        known = [row.id for row in table.rows]
        raise InputError(f"reproduce: the table {stem!r} has no row {id!r}{nearest(id, known)}")
    return Table(table.name, table.title, table.paper, rows)


@lru_cache
def _table(name: str) -> Table:
    content = _toml(FOLDER / f"{name}.toml")
    rows = tuple(_row(name, entry, content["traps"]) for entry in content["rows"])
    return Table(name, content["title"], content["paper"], rows)


def _row(table: str, entry: Mapping[str, Any], traps: Sequence[str]) -> Row:
    settings = dict(entry)
    known = _toml(HERE / "files.toml")
    dataset: Mapping[str, Any] = {}
    if "dataset" in settings:
        name = settings.pop("dataset")
        dataset = {"name": name, **_toml(HERE / "datasets.toml")[name]}
    names = [*dataset.get("needs", ()), *settings.pop("needs")]
    published = settings.pop("published", None)
    if published is None:
        published = {"similarity": {each["name"]: each["published"] for each in entry["pairs"]}}
    return Row(
        table,
        settings.pop("id"),
        settings.pop("system"),
        settings.pop("kind", "retrieval"),
        tuple(Need(name, **known[name]) for name in names),
        (*traps, *settings.pop("traps", ())),
        published,
        dataset,
        settings,
    )


@lru_cache
def _toml(path: Path) -> dict[str, Any]:
    return read_toml(path)
