"""The tree of runs: pipelines that begin alike share the beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crossrank.plugin.optional import required
from crossrank_ablation.settings import StageSettings

if TYPE_CHECKING:
    import networkx

ROOT = "base"
MOST_DRAWN = 60


@dataclass(frozen=True, slots=True)
class Node:
    """A beginning that pipelines share.

    `stage` has the settings of its last stage, None for the base; `cells` names the runs that end
    here, `children` the nodes that go on from here.
    """

    label: str
    stage: StageSettings | None
    cells: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)


Tree = dict[str, Node]
"""Node ``"base"`` and one node per distinct beginning, by name."""


def grow(pipelines: Sequence[tuple[StageSettings, ...]], names: Sequence[str] = ()) -> Tree:
    """Return the tree from the base over stages to pipelines, with what each of them is called."""
    tree = {ROOT: Node(ROOT, None)}
    for number, stages in enumerate(pipelines):
        path = path_of(stages)
        for before, node, stage in zip([ROOT, *path], path, stages, strict=False):
            if node not in tree:
                tree[node] = Node(_label(stage), stage)
                tree[before].children.append(node)
        if names:
            tree[path[-1] if path else ROOT].cells.append(names[number])
    return tree


def as_graph(tree: Tree) -> networkx.DiGraph[str]:
    """Return a tree as a `networkx.DiGraph`, whose nodes have ``label``, ``stage``, ``cells``."""
    graph = required("networkx", "ablate", "the tree of an ablation as a graph").DiGraph()
    for name, node in tree.items():
        graph.add_node(name, label=node.label, stage=node.stage, cells=list(node.cells))
        graph.add_edges_from((name, child) for child in node.children)
    return graph


def path_of(stages: Sequence[StageSettings]) -> list[str]:
    """Return the nodes of a pipeline, first stage first."""
    path: list[str] = []
    for stage in stages:
        path.append(f"{path[-1]}/{stage.key}" if path else stage.key)
    return path


def drawing(tree: Tree) -> list[dict[str, Any]]:
    """Return the tree's nodes with places for a picture, depth first.

    Children that differ in fusion and weight only become one node where there are more than
    `MOST_DRAWN`.  A node has ``label``, ``count``, ``depth``, ``row``, ``cells`` and ``parent``, a
    place in the list or None.
    """
    merges = len(tree) > MOST_DRAWN
    drawn: list[dict[str, Any]] = []
    rows = 0

    def visit(nodes: list[str], parent: int | None, depth: int) -> float:
        nonlocal rows
        data = [tree[node] for node in nodes]
        place = len(drawn)
        drawn.append(
            {
                "label": data[0].label if len(nodes) == 1 else _common(data),
                "count": len(nodes),
                "depth": depth,
                "parent": parent,
                "cells": [cell for each in data for cell in each.cells],
            }
        )
        children = [child for node in nodes for child in tree[node].children]
        groups: dict[str, list[str]] = {}
        for child in children:
            groups.setdefault(_common([tree[child]]) if merges else child, []).append(child)
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
    settings = {key: value for key, value in stage.values.items() if key in ("depth", "weight")}
    fusion = stage.values.get("fusion", "weighted")
    parts = [
        f"{key} {value:g}" for key, value in settings.items() if isinstance(value, int | float)
    ]
    parts += [] if fusion == "weighted" else [str(fusion)]
    return f"{stage.name} ({', '.join(parts)})" if parts else stage.name


def _common(data: Sequence[Node]) -> str:
    stage = data[0].stage
    return ROOT if stage is None else str(stage.name)
