"""The tree of runs: pipelines that begin alike share the beginning."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from crossrank.errors import missing_package
from crossrank_ablation.settings import StageSettings

ROOT = "base"
MOST_DRAWN = 60


def check_networkx() -> None:
    """Refuse to start without the package that holds the tree.

    Raises
    ------
    MissingPackageError
        If networkx is not installed.
    """
    if importlib.util.find_spec("networkx") is None:
        raise missing_package("networkx", extra="ablate", purpose="an ablation")


def grow(pipelines: Sequence[tuple[StageSettings, ...]], names: Sequence[str] = ()) -> Any:
    """Return a `networkx.DiGraph` from the base over stages to pipelines.

    Parameters
    ----------
    pipelines
        The runs.
    names
        What each is called.

    Returns
    -------
    networkx.DiGraph
        Node ``"base"`` and one node per distinct beginning, with ``stage`` (the settings of its
        last stage), ``label`` and ``cells`` (the names of the runs that end here).
    """
    import networkx

    tree = networkx.DiGraph()
    tree.add_node(ROOT, label=ROOT, stage=None, cells=[])
    for number, stages in enumerate(pipelines):
        path = path_of(stages)
        for before, node, stage in zip([ROOT, *path], path, stages, strict=False):
            if node not in tree:
                tree.add_node(node, label=_label(stage), stage=stage, cells=[])
                tree.add_edge(before, node)
        if names:
            tree.nodes[path[-1] if path else ROOT]["cells"].append(names[number])
    return tree


def path_of(stages: Sequence[StageSettings]) -> list[str]:
    """Return the nodes of a pipeline, first stage first."""
    path: list[str] = []
    for stage in stages:
        path.append(f"{path[-1]}/{stage.key}" if path else stage.key)
    return path


def drawing(tree: Any) -> list[dict[str, Any]]:
    """Return the tree's nodes with places for a picture, depth first.

    Children that differ in fusion and weight only become one node where there are more than
    `MOST_DRAWN`.

    Returns
    -------
    list
        Dicts of ``label``, ``count``, ``depth``, ``row``, ``parent`` (a place in the list, or
        None) and ``cells``.
    """
    merges = len(tree) > MOST_DRAWN
    drawn: list[dict[str, Any]] = []
    rows = 0

    def visit(nodes: list[str], parent: int | None, depth: int) -> float:
        nonlocal rows
        data = [tree.nodes[node] for node in nodes]
        place = len(drawn)
        drawn.append(
            {
                "label": data[0]["label"] if len(nodes) == 1 else _common(data),
                "count": len(nodes),
                "depth": depth,
                "parent": parent,
                "cells": [cell for each in data for cell in each["cells"]],
            }
        )
        children = [child for node in nodes for child in tree.successors(node)]
        groups: dict[str, list[str]] = {}
        for child in children:
            groups.setdefault(_common([tree.nodes[child]]) if merges else child, []).append(child)
        below = [visit(group, place, depth + 1) for group in groups.values()]
        if below:
            drawn[place]["row"] = (below[0] + below[-1]) / 2
        else:
            drawn[place]["row"] = float(rows)
            rows += 1
        return float(drawn[place]["row"])

    visit([ROOT], None, 0)
    return drawn


def _label(stage: StageSettings) -> str:
    told = {key: value for key, value in stage.values.items() if key in ("depth", "weight")}
    fusion = stage.values.get("fusion", "weighted")
    parts = [f"{key} {value:g}" for key, value in told.items() if isinstance(value, int | float)]
    parts += [] if fusion == "weighted" else [str(fusion)]
    return f"{stage.name} ({', '.join(parts)})" if parts else stage.name


def _common(data: Sequence[dict[str, Any]]) -> str:
    stage = data[0]["stage"]
    return ROOT if stage is None else str(stage.name)
