"""``crossrank graphs show``, and what it draws."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest
from click.testing import CliRunner

from crossrank.cli import main
from crossrank_graphs import Graph, graph_of_names
from crossrank_graphs.drawing import Arc, Node, draw

RIDES = graph_of_names(
    "a man in a red shirt rides a horse",
    [("man", []), ("shirt", ["red"]), ("horse", [])],
    [(0, "wear", 1), (0, "ride", 2)],
)


def made(tmp_path: Path, *graphs: Graph) -> str:
    path = tmp_path / "graphs.json"
    path.write_text(json.dumps([graph.to_dict() for graph in graphs]), encoding="utf-8")
    return str(path)


def show(*arguments: str) -> tuple[int, str]:
    run = CliRunner().invoke(main, ["graphs", "show", *arguments])
    return run.exit_code, run.output


def test_tuples_json_and_a_page(tmp_path: Path) -> None:
    graphs = made(tmp_path, RIDES, graph_of_names("<b>nothing</b>", [], []))
    code, said = show(RIDES.text, "<b>nothing</b>", "--graphs", graphs)
    assert code == 0 and "( man , ride , horse )" in said and "(names nothing)" in said
    code, said = show(RIDES.text, "--graphs", graphs, "--json")
    assert Graph.from_dict(json.loads(said)[0]) == RIDES
    page = tmp_path / "page.html"
    assert show(RIDES.text, "<b>nothing</b>", "--graphs", graphs, "-o", str(page))[0] == 0
    html = page.read_text(encoding="utf-8")
    assert html.count("<rect") == 3 and ">ride</text>" in html and "<b>nothing" not in html
    assert show(RIDES.text, "--graphs", graphs, "-o", str(page))[0] == 2


def test_texts_of_files(tmp_path: Path) -> None:
    graphs = made(tmp_path, RIDES)
    lines = tmp_path / "lines.txt"
    lines.write_text(f"\n{RIDES.text}\n", encoding="utf-8")
    assert show("--file", str(lines), "--graphs", graphs)[0] == 0
    captions = tmp_path / "captions.jsonl"
    captions.write_text(json.dumps({"captions": [RIDES.text]}) + "\n", encoding="utf-8")
    assert show("--file", str(captions), "--graphs", graphs)[0] == 0
    captions.write_text('{"captions": 3}\n', encoding="utf-8")
    code, said = show("--file", str(captions), "--graphs", graphs)
    assert code == 2 and "line 1" in said


@pytest.mark.parametrize("arguments", [[], ["--file", "absent.txt"], ["x", "--graphs", "absent"]])
def test_what_is_wrong_is_one_line(arguments: list[str]) -> None:
    code, said = show(*arguments)
    assert code == 2 and "Traceback" not in said


def test_boxes_do_not_overlap_and_arcs_join_them() -> None:
    drawing = draw(RIDES)
    for one, other in combinations(drawing.nodes, 2):
        assert one.x + one.width < other.x
    assert [arc.label for arc in drawing.arcs] == ["wear", "ride"]
    assert drawing.arcs[0].y != drawing.arcs[1].y  # they start at one object
    assert all(inside(node, drawing.width, drawing.height) for node in drawing.nodes)
    assert all(0 <= arc.y <= drawing.height for arc in drawing.arcs)


def inside(node: Node, width: float, height: float) -> bool:
    return node.x >= 0 and node.x + node.width <= width and node.y + node.height <= height


def test_cycles_loops_and_nothing_can_be_drawn() -> None:
    cycle = graph_of_names(
        "x", [("a", []), ("a", [])], [(0, "on", 1), (1, "on", 0), (0, "beside", 0)]
    )
    drawing = draw(cycle)
    assert len({arc.path for arc in drawing.arcs}) == 3
    assert all(isinstance(arc, Arc) for arc in drawing.arcs)
    assert draw(graph_of_names("", [], [])).nodes == ()
