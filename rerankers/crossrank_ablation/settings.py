"""What a stage is set to, and what a cell of the table is: stages, an encoder, a cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from crossrank._items.fingerprint import fingerprint
from crossrank._lists.fusion import RRF, Replace
from crossrank._lists.weighted_sum import WeightedSum
from crossrank._stage import FUSIONS, Stage, stage_of
from crossrank.plugin.contract import Reranker

FUSION_KEYS = {name: keys for name, (_, keys) in FUSIONS.items()}


@dataclass(frozen=True, slots=True, eq=False)
class StageSettings:
    """A stage before it is built, under the keys of ``crossrank rerank --stage``.

    The name is the study's; the values are ``depth``, ``fusion`` with its keys, and the reranker's
    parameters.
    """

    name: str
    reranker: str | type[Reranker] | Reranker
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, stage: Stage) -> StageSettings:
        """Read a ready stage."""
        values: dict[str, Any] = dict(stage.params)
        if stage.depth is not None:
            values["depth"] = stage.depth
        fusion = stage.fusion
        if isinstance(fusion, WeightedSum):
            values |= {"fusion": "weighted", "weight": fusion.weight, "normalise": fusion.normalise}
            if fusion.statistics != "row":
                values["statistics"] = fusion.statistics
        elif isinstance(fusion, RRF):
            values |= {"fusion": "rrf", "k": fusion.k}
        else:
            values["fusion"] = "replace" if isinstance(fusion, Replace) else fusion
        return cls(stage.name, stage.reranker, values)

    def having(
        self, values: Mapping[str, Any], spare: frozenset[str] = frozenset()
    ) -> StageSettings:
        """Return the stage with other values, without the keys of fusions that it does not use.

        `spare` are keys that belong to a fusion, wherever this one does not read them.
        """
        merged = {**self.values, **values}
        fusion = merged.get("fusion", "weighted")
        unused = spare - set(FUSION_KEYS.get(fusion, ()) if isinstance(fusion, str) else ())
        return replace(self, values={k: v for k, v in merged.items() if k not in unused})

    def build(self) -> Stage:
        """Return the stage."""
        return stage_of(self.reranker, self.values, f"stage {self.name!r}", self.name)

    @property
    def key(self) -> str:
        """A digest by which equal settings are recognised."""
        return fingerprint([self.name, _named(self.reranker), dict(self.values)])

    @property
    def reranker_name(self) -> str:
        """What its reranker is called."""
        return _named(self.reranker)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        values = {key: shown(value) for key, value in self.values.items()}
        return {"name": self.name, "reranker": _named(self.reranker), **values}


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One row of the table before it is run.

    The encoder stands for ``{encoder}`` in paths of the data, None where there is no such axis;
    lists are cut at `top_k`.  `note` says why it is there, such as ``"without mack"``, and `whole`
    is the key of the cell that a loss is tested against.
    """

    stages: tuple[StageSettings, ...]
    encoder: str | None = None
    top_k: int | None = None
    note: str = ""
    whole: str | None = None
    name: str = ""

    @property
    def key(self) -> str:
        """A digest by which equal cells are recognised."""
        return fingerprint([[stage.key for stage in self.stages], self.encoder, self.top_k])


def shown(value: Any) -> Any:
    """Return a value as JSON can hold it: objects by their class and fingerprint."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): shown(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [shown(member) for member in value]
    own = getattr(value, "fingerprint", None)
    return f"{type(value).__name__} {own()}" if callable(own) else repr(value)


def _named(reranker: str | type[Reranker] | Reranker) -> str:
    if isinstance(reranker, str):
        return reranker
    kind = reranker if isinstance(reranker, type) else type(reranker)
    own = "" if isinstance(reranker, type) else f"#{reranker.fingerprint()}"
    return f"{kind.__module__}.{kind.__qualname__}{own}"
