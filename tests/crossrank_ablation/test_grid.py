"""Grids spread into distinct cells with telling names."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crossrank as cr
from crossrank.errors import InputError
from crossrank_ablation.grid import Grid, count_cells, read_variants, settings_of, spread
from crossrank_ablation.settings import StageSettings
from crossrank_ablation.toml_lines import line_of
from crossrank_ablation.tree import drawing, grow
from toys.ablation import Noisy

STAGES = {name: StageSettings(name, "noisy", {"seed": n}) for n, name in enumerate("abc")}


def names(grid: Grid) -> list[str]:
    return [cell.name for cell in spread([grid], STAGES)]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("as_given", ["a → b → c"]),
        ("leave_one_out", ["a → b → c", "b → c", "a → c", "a → b"]),
        ("add_one_in", ["a", "b", "c"]),
        ("subsets", ["a", "b", "c", "a → b", "a → c", "b → c", "a → b → c"]),
        ("orders", [" → ".join(order) for order in permutations("abc")]),
    ],
)
def test_variants(word: str, expected: list[str]) -> None:
    grid = Grid((tuple("abc"),), read_variants(word))
    assert names(grid) == expected
    assert count_cells(grid) == len(expected)


def test_a_loss_is_held_against_the_whole() -> None:
    cells = spread([Grid((tuple("abc"),), ("leave_one_out",))], STAGES)
    whole = cells[0]
    assert whole.note == "whole"
    assert [cell.note for cell in cells[1:]] == ["without a", "without b", "without c"]
    assert {cell.whole for cell in cells[1:]} == {whole.key}


def test_equal_cells_are_one_and_names_tell_what_varies() -> None:
    axes = {"a": {"depth": (5, 10), "weight": (0.5, 1.0)}}
    grids = [Grid((("a", "b"),), axes=axes), Grid((("a", "b"),), ("add_one_in",), axes=axes)]
    found = [cell.name for cell in spread(grids, STAGES)]
    assert found[0] == "a(depth=5, weight=0.5) → b"
    assert found[-1] == "b"
    assert len(found) == len(set(found)) == 4 + 4 + 1


def test_keys_of_another_fusion_are_left_out() -> None:
    axes = {"a": {"fusion": ("weighted", "rrf", "replace"), "weight": (1, 2), "k": (10, 60)}}
    found = spread([Grid((("a",),), axes=axes)], STAGES)
    told = [dict(cell.stages[0].values) for cell in found]
    assert told == [
        {"seed": 0, "fusion": "weighted", "weight": 1},
        {"seed": 0, "fusion": "weighted", "weight": 2},
        {"seed": 0, "fusion": "rrf", "k": 10},
        {"seed": 0, "fusion": "rrf", "k": 60},
        {"seed": 0, "fusion": "replace"},
    ]
    for cell in found:
        cell.stages[0].build()


def test_encoders_and_cuts_are_in_the_name_and_in_parameters() -> None:
    stages = {"a": StageSettings("a", "x", {"weights": "{encoder}.pt"})}
    found = spread([Grid((("a",),), encoders=("lite", "clip"), top_k=(5, 10))], stages)
    assert [cell.name for cell in found] == [
        "a(weights=lite.pt) · lite · top 5",
        "a(weights=lite.pt) · lite · top 10",
        "a(weights=clip.pt) · clip · top 5",
        "a(weights=clip.pt) · clip · top 10",
    ]


def test_tuning_spreads_the_stages_of_a_cell_only() -> None:
    (cell,) = spread([Grid((("a",),))], STAGES)
    points = settings_of(cell, {"a": {"weight": (1, 2, 3)}, "b": {"weight": (1, 2)}})
    assert [stages[0].values["weight"] for stages in points] == [1, 2, 3]


def test_a_stage_is_read_and_built_again() -> None:
    for fusion in (cr.WeightedSum(0.5, "rank"), cr.RRF(10), cr.Replace()):
        stage = cr.Stage(Noisy, depth=5, fusion=fusion, params={"seed": 3})
        again = StageSettings.of(stage).build()
        assert (again.depth, again.fusion, dict(again.params)) == (5, fusion, {"seed": 3})


def test_unknown_variants() -> None:
    assert read_variants(["leave-one-out"]) == ("leave_one_out",)
    with pytest.raises(InputError, match="did you mean 'leave_one_out'"):
        read_variants("leave_one")
    with pytest.raises(InputError, match="variants is empty"):
        read_variants([])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.permutations("abc").map(lambda names: tuple(names[:2])), min_size=1, max_size=3),
    st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True),
    st.sampled_from(["as_given", "leave_one_out", "add_one_in", "subsets", "orders"]),
)
def test_the_count_is_a_bound_and_nothing_is_lost(
    pipelines: list[tuple[str, ...]], depths: list[int], word: str
) -> None:
    grid = Grid(tuple(pipelines), (word,), axes={"a": {"depth": tuple(depths)}})
    cells = spread([grid], STAGES)
    assert 0 < len(cells) <= count_cells(grid)
    assert len({cell.key for cell in cells}) == len({cell.name for cell in cells}) == len(cells)


def test_the_tree_shares_beginnings() -> None:
    cells = spread([Grid((tuple("abc"),), ("subsets",))], STAGES)
    tree = grow([cell.stages for cell in cells], [cell.name for cell in cells])
    assert len(tree) == 1 + 7  # a, b, c, ab, ac, bc, abc share their beginnings
    ends = [cell for node in tree.values() for cell in node.cells]
    assert sorted(ends) == sorted(cell.name for cell in cells)
    drawn = drawing(tree)
    assert [node["label"] for node in drawn] == ["base", "a", "b", "c", "c", "b", "c", "c"]
    assert len({(node["depth"], node["row"]) for node in drawn}) == len(drawn)


def test_a_large_tree_is_drawn_small() -> None:
    axes = {"a": {"weight": tuple(range(30))}, "b": {"weight": tuple(range(3))}}
    cells = spread([Grid((("a", "b"),), axes=axes)], STAGES)
    drawn = drawing(grow([cell.stages for cell in cells], [cell.name for cell in cells]))
    assert [(node["label"], node["count"]) for node in drawn] == [("base", 1), ("a", 30), ("b", 90)]
    assert len(drawn[-1]["cells"]) == 90


TOML = """
name = "x"
[data.report]
queries = "q"
[stages]
filip.deph = 3
[stages.mack]
"k-max" = 2
[grid]
filip.weight = [1]
tune = { inner = 3 }
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("data", "report", "queries"), 4),
        (("stages", "filip", "deph"), 6),
        (("stages", "mack", "k-max"), 8),
        (("grid", "filip", "weight"), 10),
        (("grid", "tune", "inner"), 11),
        (("nowhere",), None),
    ],
)
def test_the_line_of_a_key(path: tuple[str, ...], line: Any) -> None:
    assert line_of(TOML, path) == line
