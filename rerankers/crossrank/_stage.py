"""A stage: one reranker, how deep it looks, and how its scores are fused; also from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from crossrank._checking import check, check_count, instance_of
from crossrank._files.parsing import read_toml
from crossrank._items.fingerprint import fingerprint
from crossrank._lists.auto_depth import AutoDepth
from crossrank._lists.fusion import RRF, Fusion, Replace
from crossrank._lists.weighted_sum import WeightedSum
from crossrank.errors import CrossrankError, FormatError, ParameterError, nearest
from crossrank.plugin.contract import Reranker
from crossrank.plugin.registry import load_reranker

FUSIONS: dict[str, tuple[type[Fusion], tuple[str, ...]]] = {
    "weighted": (WeightedSum, ("weight", "normalise", "statistics")),
    "replace": (Replace, ()),
    "rrf": (RRF, ("k",)),
}
"""Per fusion its class and the keys that belong to it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a `Pipeline`.

    Parameters
    ----------
    reranker
        The name of an installed reranker, a `Reranker` class, or a ready object.
    depth
        How many of each list, best first, the stage sees; all by default.  ``"auto"`` or an
        `AutoDepth`: few where the scores so far tell the candidates apart, more where they do not.
    fusion
        `Replace`, `WeightedSum` (the default: weight 1, z-scores) or `RRF`.
    params
        The reranker's parameters.
    name
        What traces call the stage; the reranker's name by default.

    Raises
    ------
    UnknownPluginError, PluginError
        If the name cannot be resolved.
    ParameterError
        On parameters the reranker refuses.
    """

    reranker: str | type[Reranker] | Reranker
    depth: int | str | AutoDepth | None = None
    fusion: Fusion = field(default_factory=WeightedSum)
    params: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    scorer: Reranker = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.depth, str) and self.depth == "auto":
            object.__setattr__(self, "depth", AutoDepth())
        if isinstance(self.depth, str):
            raise ParameterError(
                f"Stage: depth is {self.depth!r:.80}; give a whole number, 'auto' or an AutoDepth"
            )
        if self.depth is not None and not isinstance(self.depth, AutoDepth):
            check_count("Stage", "depth", self.depth)
        rule = instance_of(Fusion, give="Replace(), WeightedSum(...) or RRF(...)")
        named = instance_of(Mapping, give="the reranker's parameters by name")
        check("Stage", self, fusion=rule, params=named)
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))
        object.__setattr__(self, "scorer", self._build())
        if not self.name:
            object.__setattr__(self, "name", self.scorer.info.name)
        object.__setattr__(self, "fusion", self.fusion.of_stage(self.name))

    @classmethod
    def from_file(cls, path: str | Path, **changes: Any) -> Stage:
        """Return the stage that a TOML file describes, such as those of ``examples/settings``.

        ``reranker`` names it, and ``name`` what traces call it; ``depth``, ``fusion``, ``weight``,
        ``normalise``, ``statistics`` and ``k`` are those of `Stage` and its fusion, as in
        ``crossrank rerank --stage``.  Any other key is a parameter of the reranker; a path in it
        counts from the present folder.

        Parameters
        ----------
        path
            The file.
        **changes
            Keys in place of the file's.

        Raises
        ------
        FormatError
            If the file is missing, is no TOML, or names no reranker.
        ParameterError, UnknownPluginError, PluginError
            As for `Stage`.

        Examples
        --------
        >>> import crossrank as cr
        >>> stage = cr.Stage.from_file("examples/settings/filip.toml", depth=50)
        ... # doctest: +SKIP
        """
        reranker, name, values = read_values(Path(path))
        return stage_of(reranker, {**values, **changes}, str(path), name)

    def __reduce__(self) -> tuple[Any, ...]:
        """Take the built scorer along to another process; it has its parameters."""
        return type(self), (self.scorer, self.depth, self.fusion, {}, self.name)

    @property
    def deepest(self) -> int | None:
        """How many of a list it sees at most; None for all."""
        if isinstance(self.depth, AutoDepth):
            return self.depth.deepest
        return None if self.depth is None else int(self.depth)

    def fingerprint(self) -> str:
        """Return a digest of the reranker with its parameters, the depth and the fusion."""
        kind = type(self.scorer)
        return fingerprint(
            [
                f"{kind.__module__}:{kind.__qualname__}",
                self.scorer.fingerprint(),
                repr(self.depth),
                repr(self.fusion),
                self.name,
            ]
        )

    def _build(self) -> Reranker:
        if isinstance(self.reranker, Reranker):
            if self.params:
                raise ParameterError(
                    "Stage: parameters go to a reranker's name or class; this one is built already"
                )
            return self.reranker
        if isinstance(self.reranker, str):
            return load_reranker(self.reranker)(**self.params)
        if isinstance(self.reranker, type) and issubclass(self.reranker, Reranker):
            return self.reranker(**self.params)
        raise ParameterError(
            f"Stage: {self.reranker!r} is neither a reranker's name nor a Reranker class or object"
        )


def stage_of(
    reranker: str | type[Reranker] | Reranker,
    values: Mapping[str, Any],
    where: str,
    name: str = "",
) -> Stage:
    """Return the stage that keys and values describe, as a command line or a file writes them.

    Parameters
    ----------
    reranker, name
        See `Stage`.
    values
        ``depth``, ``fusion`` (or a ready `Fusion`) and its keys; the others are parameters.
    where
        What the error starts with.

    Raises
    ------
    ParameterError, UnknownPluginError, PluginError
        As for `Stage`.
    """
    rest = dict(values)
    depth = rest.pop("depth", None)
    fusion = _fusion(rest, where)
    try:
        return Stage(reranker, depth=depth, fusion=fusion, params=rest, name=name)
    except ParameterError as error:
        raise ParameterError(f"{where}: {error}") from error


def read_values(path: Path) -> tuple[str, str, dict[str, Any]]:
    """Return a file's reranker, the stage's name (empty for the reranker's), and the other keys."""
    try:
        values = read_toml(path)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FormatError(f"{path} is no TOML: {error}") from error
    found = {key: values.pop(key, "") for key in ("reranker", "name")}
    for key, value in found.items():
        if not isinstance(value, str) or (key == "reranker" and not value):
            raise FormatError(
                f'{path}: {key} is {value!r:.80}; give a name, such as reranker = "filip"'
            )
    return found["reranker"], found["name"], values


def _fusion(values: dict[str, Any], where: str) -> Fusion:
    """Take the keys of the fusion out of the values and build it."""
    name = values.pop("fusion", "weighted")
    if isinstance(name, Fusion):
        return name
    if not isinstance(name, str) or name not in FUSIONS:
        raise ParameterError(f"{where}: no fusion is called {name!r}{nearest(str(name), FUSIONS)}")
    kind, keys = FUSIONS[name]
    for key in FUSIONS["weighted"][1]:
        if key in values and key not in keys:
            raise ParameterError(
                f"{where}: {key} belongs to fusion=weighted and does nothing with fusion={name}; "
                "leave one of them out"
            )
    try:
        return kind(**{key: values.pop(key) for key in keys if key in values})
    except (CrossrankError, TypeError) as error:
        raise ParameterError(f"{where}: {error}") from error


def with_distinct_names(stages: list[Stage]) -> tuple[Stage, ...]:
    """Give numbers to the stages that share a name, so that traces can tell them apart."""
    taken = {stage.name for stage in stages}
    named: list[Stage] = []
    for stage in stages:
        if any(other.name == stage.name for other in named):
            number = 2
            while f"{stage.name}#{number}" in taken:
                number += 1
            taken.add(f"{stage.name}#{number}")
            named.append(replace(stage, name=f"{stage.name}#{number}"))
        else:
            named.append(stage)
    return tuple(named)
