"""Texts and lines as others write them: nothing to be seen, no Unicode, lines of old Macs (A9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank._text import is_blank, shown
from crossrank.errors import CrossrankError, FormatError, InputError
from crossrank.evaluation import read_qrels
from toys.basic import DotReranker, ToyEncoder, collection

BLANK = ["\u200b", "\u200b \u2060\ufeff", "\u00ad", "\t\x00", "\u202e"]


@pytest.mark.parametrize("text", BLANK, ids=ascii)
def test_a_text_in_which_nothing_is_seen_is_an_empty_one(tmp_path: Path, text: str) -> None:
    assert is_blank(text)
    with pytest.raises(InputError, match="empty"):
        cr.rerank("a dog", [text, "a cat"], DotReranker, encoder=ToyEncoder())
    with pytest.raises(InputError, match="empty"):
        cr.encode(ToyEncoder(), [cr.Item("a", text)])
    path = tmp_path / "texts.txt"
    path.write_text(f"a dog\n{text}\n", encoding="utf-8", newline="")
    with pytest.raises(FormatError, match=r"texts\.txt:2 has an empty text"):
        cr.encode(ToyEncoder(), path)
    found = cr.encode(ToyEncoder(), ["a dog", cr.Item("b", text)], on_item="skip")
    assert found.ids == ("0",)


@pytest.mark.parametrize("text", ["a\u200db", "\u00e9", "\U0001f9d1\u200d\U0001f680", "\u3164x"])
def test_a_text_with_signs_that_are_not_seen_stays(text: str) -> None:
    assert not is_blank(text)
    assert cr.encode(ToyEncoder(), [text])["text"][0] == text


LONE = "a\ud800b"


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: cr.Item(text=LONE),
        lambda folder: cr.Item(LONE, text="a dog"),
        lambda folder: cr.encode(ToyEncoder(), [LONE]),
        lambda folder: cr.rerank("a dog", [LONE, "a cat"], DotReranker, encoder=ToyEncoder()),
        lambda folder: cr.Collection([LONE], "text").save(folder / "made"),
        lambda folder: cr.Collection(["a"], "text", text=[LONE]).save(folder / "made"),
        lambda folder: run_of(LONE).to_trec(folder / "run.trec"),
    ],
)
def test_a_lone_surrogate_is_one_clear_error(tmp_path: Path, make: Any) -> None:
    """It was a UnicodeEncodeError, by then that half of the work was done."""
    with pytest.raises(InputError, match="not valid Unicode \\(a lone surrogate\\)"):
        make(tmp_path)
    assert not list(tmp_path.iterdir())


def run_of(id: str) -> cr.Rankings:
    queries, gallery = collection(1, "text"), collection(2, "image")
    named = cr.Collection([id, "other"], "image", embedding=gallery["embedding"])
    lists = cr.search(queries, named, depth=2, engine="numpy")
    return cr.Pipeline(cr.Stage(DotReranker)).rerank(lists, queries, named)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=ascii)
def test_lines_end_as_on_any_system(tmp_path: Path, end: str) -> None:
    def written(name: str, *lines: str) -> Path:
        (tmp_path / name).write_bytes("".join(line + end for line in lines).encode())
        return tmp_path / name

    texts = cr.encode(ToyEncoder(), written("a.txt", "a dog", "a cat", "more"))
    assert list(texts["text"]) == ["a dog", "a cat", "more"] and texts.ids == ("1", "2", "3")
    items = written("a.jsonl", '{"id": "a", "text": "x"}', "", '{"id": "b", "text": "y"}')
    assert cr.encode(ToyEncoder(), items).ids == ("a", "b")
    run = written("a.trec", "q Q0 a 1 0.5 x", "q Q0 b 2 0.4 x")
    assert cr.Candidates.from_trec(run).to_lists() == [[(0, 0.5), (1, 0.4)]]
    assert read_qrels(written("a.qrels", "q 0 a 1", "q 0 b 0")) == {"q": {"a": 1, "b": 0}}
    with pytest.raises(FormatError, match=r"b\.jsonl:2"):
        cr.encode(ToyEncoder(), written("b.jsonl", '{"id": "a", "text": "x"}', "{"))


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", ".DS_Store", "._embedding.npy"])
def test_what_a_system_puts_into_a_folder_is_left_alone(tmp_path: Path, name: str) -> None:
    folder, run = tmp_path / "made", tmp_path / "run"
    made = cr.encode(ToyEncoder(), ["a dog", "a cat"], out=folder)
    (folder / name).write_bytes(b"xx")
    assert cr.Collection.open(folder) == made
    more = cr.encode(ToyEncoder(), ["a dog", "a cat", "new"], out=folder, append=True, reuse=True)
    assert len(more) == 3
    cr.encode(ToyEncoder(), ["a dog", "a cat", "new"], add_to=folder, features=("token_text",))
    assert (folder / name).read_bytes() == b"xx"

    run.mkdir()
    (run / name).write_bytes(b"xx")
    queries, gallery = collection(1, "text"), collection(2, "image")
    lists = cr.search(queries, gallery, depth=2, engine="numpy")
    cr.Pipeline(cr.Stage(DotReranker)).rerank_to(run, lists, queries, gallery)
    assert (run / name).read_bytes() == b"xx"


def test_a_foreign_file_in_a_collection_is_told(tmp_path: Path) -> None:
    cr.encode(ToyEncoder(), ["a dog"], out=tmp_path / "made")
    np.save(tmp_path / "made" / "mine.npy", np.zeros(3))
    with pytest.raises(CrossrankError, match="does not belong to the collection"):
        cr.Collection.open(tmp_path / "made")


def test_a_set_has_no_order() -> None:
    with pytest.raises(InputError, match="a set, which has no order"):
        cr.encode(ToyEncoder(), {"a dog", "a cat"})


def test_nothing_that_steers_a_terminal_is_shown() -> None:
    assert shown("a dog – \u4e2d") == "a dog – \u4e2d"
    assert shown("\x1b[2Jgone\r\u202e\x9bx\n") == " [2Jgone   x "
