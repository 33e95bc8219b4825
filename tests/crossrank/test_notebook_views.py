"""What a notebook shows: tables with pictures and no markup of anybody's; heat maps; plain text."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import InputError, UnknownIdError
from toys.basic import DotReranker

EYE = np.eye(3, dtype=np.float32)
WORDS = cr.Ragged(EYE[[0, 1, 2]], [1, 2])


@pytest.fixture
def sides(tmp_path: Path) -> tuple[cr.Collection, cr.Collection]:
    """Two texts and three pictures of two by two patches."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(path)
    boxes = np.array([[0, 0, 0.5, 0.5], [0.5, 0, 1, 0.5], [0, 0.5, 0.5, 1], [0.5, 0.5, 1, 1]])
    texts = cr.Collection(
        ["x", "<i>y</i>"],
        "text",
        embedding=EYE[:2],
        tokens=WORDS,
        text=["a <b>dog</b>", "two cats"],
        token_text=[["dog"], ["two", "cats"]],
    )
    pictures = cr.Collection(
        paths,
        "image",
        embedding=EYE,
        tokens=cr.Ragged(EYE[[0, 1, 2, 0] * 3], [4] * 3),
        token_boxes=cr.Ragged(np.tile(boxes, (3, 1)).astype(np.float32), [4] * 3),
        path=[str(path) for path in paths],
    )
    return texts, pictures


def ranked(sides: tuple[cr.Collection, cr.Collection]) -> cr.Rankings:
    return cr.Pipeline(cr.Stage(DotReranker)).rerank(cr.search(*sides, depth=3), *sides)


def test_every_result_has_a_table_and_escapes_what_is_in_it(
    sides: tuple[cr.Collection, cr.Collection],
) -> None:
    rankings = ranked(sides)
    lists = cr.search(*sides, depth=3)
    evaluation = cr.evaluate({"<b>mine</b>": rankings}, {"x": rankings[0][0].id}, resamples=0)
    for shown in (rankings, rankings[0], rankings[1], lists, *sides, evaluation):
        html = shown._repr_html_()
        assert "<table>" in html
        assert "<b>" not in html
        assert "<i>" not in html
    assert "a &lt;b&gt;dog&lt;/b&gt;" in rankings[0]._repr_html_()
    assert "&lt;b&gt;mine" in evaluation._repr_html_()


def test_pictures_stand_in_it_with_base_and_new_rank(
    sides: tuple[cr.Collection, cr.Collection],
) -> None:
    rankings = ranked(sides)
    for shown, pictures in ((rankings[0], 3), (rankings, 6), (sides[1], 3)):
        assert shown._repr_html_().count('<img src="data:image/jpeg;base64,') == pictures
    assert "base rank" in rankings[0]._repr_html_()
    assert repr(cr.search(*sides, depth=3)) == "Candidates(t2i: 2 queries, 6 candidates of 3)"


def test_pictures_that_are_gone_leave_the_table(sides: tuple[cr.Collection, cr.Collection]) -> None:
    rankings = ranked(sides)
    for path in sides[1]["path"]:
        Path(path).unlink()
    html = rankings[0]._repr_html_()
    assert "<img" not in html
    assert "<table>" in html


def test_loose_pictures_are_shown_by_their_paths(
    sides: tuple[cr.Collection, cr.Collection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSRANK_PICTURES", str(Path(sides[1]["path"][0]).parent))
    rankings = ranked(sides)
    again = pickle.loads(pickle.dumps(rankings))
    assert again == rankings
    assert again.shown.pictures is None  # but its ids are paths
    assert again[0]._repr_html_().count("<img") == 3


def test_a_terminal_gets_lines(
    sides: tuple[cr.Collection, cr.Collection], capsys: pytest.CaptureFixture[str]
) -> None:
    rankings = ranked(sides)
    rankings[0].show(2)
    said = capsys.readouterr().out
    assert said.startswith("query x: a <b>dog</b>\nrank")
    assert "… 1 more hits" in said
    rankings.show(lists=1)
    assert "… 1 more queries" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"Ranking\.show"):
        rankings[0].show(0)


def test_a_notebook_gets_the_table(
    sides: tuple[cr.Collection, cr.Collection],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    display = pytest.importorskip("IPython.display")
    shown: list[Any] = []
    monkeypatch.setattr(display, "display", shown.append)
    monkeypatch.setattr("crossrank._lists.showing._in_notebook", lambda: True)
    ranked(sides)[0].show()
    assert "<table>" in shown[0].data
    assert capsys.readouterr().out == ""


def test_an_explanation_is_a_mapping_and_a_figure(
    sides: tuple[cr.Collection, cr.Collection], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("torch")
    pipeline = cr.Pipeline([cr.Stage("filip"), cr.Stage(DotReranker)])
    found = pipeline.explain(*sides, "<i>y</i>", list(sides[1].ids[:2]))
    assert list(found) == ["filip", "dot"]
    assert [link.query for link in found["filip"][0].links] == ["two", "cats"]
    assert found == dict(found)
    figure = found.plot()
    titles = [axis.get_title() for axis in figure.axes]
    assert [len(axis.images) for axis in figure.axes] == [1, 2, 2] * 2  # picture, heat maps
    assert titles[1].startswith("two 1.00")
    figure.savefig(tmp_path / "figure.png")
    shown: Any = figure
    assert shown._repr_png_().startswith(b"\x89PNG")
    assert len(found.plot(words=1).axes) == 4
    with pytest.raises(InputError, match="'dot' says of no pair"):
        found.plot("dot")
    with pytest.raises(UnknownIdError, match="did you mean 'filip'"):
        found.plot("fillip")


def test_pictures_that_ask_are_drawn_with_the_words_of_the_texts(
    sides: tuple[cr.Collection, cr.Collection],
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("torch")
    texts, pictures = sides
    found = cr.Pipeline(cr.Stage("filip")).explain(pictures, texts, pictures.ids[0], texts.ids)
    titles = [axis.get_title() for axis in found.plot().axes if axis.get_title()]
    assert any(title.startswith("cats") for title in titles)


def test_without_pictures_the_figure_says_what_is_missing(
    sides: tuple[cr.Collection, cr.Collection],
) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("torch")
    texts, pictures = sides
    bare = cr.Collection(pictures.ids, "image", tokens=pictures["tokens"])
    found = cr.Pipeline(cr.Stage("filip")).explain(texts, bare, "x", bare.ids[:1])
    with pytest.raises(InputError, match="no 'path'"):
        found.plot()
    both = cr.Pipeline(cr.Stage("filip")).explain(texts, texts, "x", texts.ids[:1])
    with pytest.raises(InputError, match="neither side is pictures"):
        both.plot()
