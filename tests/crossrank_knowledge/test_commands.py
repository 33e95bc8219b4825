"""``crossrank knowledge``, and the page that ``show`` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import crossrank as cr
from crossrank.cli import main
from crossrank.errors import FeatureMismatchError
from crossrank.plugin import registry
from crossrank_knowledge import CaptionWords, KnowledgeBank, RegionSource, SharpRegions, build
from crossrank_knowledge.show import nearest_pictures
from toys.knowledge import ColourGrid, half_red
from toys.mack import random_bank


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    cr.register(ColourGrid)
    yield


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("flag/a.png", "flag/b.png", "wall/c.png"):
        half_red(tmp_path / "photos" / name)
    return tmp_path / "photos"


def run(*args: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(arg) for arg in ("knowledge", *args)])
    assert result.exit_code == code, result.output
    return result


def test_build_show_merge(photos: Path, tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    said = run("build", photos, "--encoder", "colourgrid", "-o", bank)
    assert "2 words from 3 regions" in said.output
    assert KnowledgeBank.open(bank).words == ("flag", "wall")
    shown = run("show", bank).output.splitlines()
    assert shown[0] == "2 words of 3 dimensions, 3 regions"
    assert shown[2].split()[:3] == ["flag", "2", "wall"]
    told = json.loads(run("show", bank, "wall", "--json").output)
    assert told["words"][0]["count"] == 1 and told["words_known"] == 2
    run("merge", bank, bank, "-o", tmp_path / "both")
    assert KnowledgeBank.open(tmp_path / "both").counts.tolist() == [4, 2]
    for name in ("build", "whiten", "refine", "show", "merge"):
        assert "Example:" in run(name, "--help").output


def test_show_writes_a_page(photos: Path, tmp_path: Path) -> None:
    bank, gallery, page = tmp_path / "bank", tmp_path / "gallery", tmp_path / "page.html"
    run("build", photos, "--encoder", "colourgrid", "-o", bank)
    features = ("regions", "token_boxes")
    cr.encode("colourgrid", sorted(photos.glob("*/*.png")), "image", features, gallery)
    run("show", bank, "flag", "--gallery", gallery, "-o", page)
    text = page.read_text("utf-8")
    assert text.count("data:image/jpeg;base64,") == 3 and text.count('class="box"') == 3
    assert "2 regions" in text and "<circle" in text and "http" not in text.split("</title>")[1]
    assert "exists already" in run("show", bank, "flag", "--gallery", gallery, "-o", page,
                                   code=2).stderr  # fmt: skip
    run("show", bank, "flag", "--gallery", gallery, "-o", page, "--force")


def test_refine(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    random_bank(rng).save(tmp_path / "bank")
    regions = cr.Ragged(rng.normal(size=(40, 6)).astype(np.float32), [4] * 10)
    cr.Collection(map(str, range(10)), "image", regions=regions).save(tmp_path / "images")
    options = ["--images", tmp_path / "images", "-o", tmp_path / "refined"]
    said = run("refine", tmp_path / "bank", *options, "--param", "steps=4", "--param", "every=2")
    assert "held-out cycle accuracy" in said.output
    assert KnowledgeBank.open(tmp_path / "refined").parent is not None
    error = run("refine", tmp_path / "bank", *options, "--param", "speed=2", code=2).stderr
    assert "no option 'speed'" in error


def test_whiten(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    random_bank(rng).save(tmp_path / "bank")
    regions = cr.Ragged(rng.normal(size=(40, 6)).astype(np.float32), [4] * 10)
    cr.Collection(map(str, range(10)), "image", regions=regions).save(tmp_path / "images")
    options = [tmp_path / "bank", "--images", tmp_path / "images", "-o", tmp_path / "white"]
    assert "size is 256; give an integer from 1 to 6" in run("whiten", *options, code=2).stderr
    run("whiten", *options, "--size", 3)
    assert KnowledgeBank.open(tmp_path / "white").size == 3
    assert "exists already" in run("whiten", *options, "--size", 3, code=2).stderr


def test_bad_input_is_one_line(photos: Path, tmp_path: Path) -> None:
    objects = tmp_path / "objects.json"
    objects.write_text('[{"image_id": 3, "objects": [{"names": []}, {}]}]')
    output = ["--encoder", "colourgrid", "-o", tmp_path / "bank"]
    for args, message in (
        (["build", tmp_path / "nowhere", *output], "there is no"),
        (["build", objects, *output], "--images"),
        (["build", objects, "--images", photos, *output], "image_id 3 is malformed"),
        (["show", tmp_path], "not a knowledge bank"),
        (["merge", "-o", tmp_path / "x"], "BANKS"),
    ):
        assert message in run(*args, code=2).stderr
    run("build", photos, *output)
    assert "no word 'flg'; did you mean 'flag'" in run("show", tmp_path / "bank", "flg",
                                                       code=2).stderr  # fmt: skip
    assert "needs WORDS" in run("show", tmp_path / "bank", "-o", tmp_path / "p.html",
                                code=2).stderr  # fmt: skip


def test_nearest_pictures_find_the_best_cell() -> None:
    bank = KnowledgeBank(["x", "y"], np.eye(2), mean=[0.1, 0.1])
    regions = cr.Ragged(np.array([[0, 1], [1, 0], [1, 1], [5, 1]], np.float32), [2, 0, 1, 1])
    boxes = np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]], np.float32)
    gallery = cr.Collection(
        "abcd", "image", regions=regions, boxes=cr.Ragged(boxes, regions.lengths)
    )
    found = nearest_pictures(bank, ["x"], gallery, 5)[0]
    assert [near.id for near in found] == ["a", "d", "c"]
    assert found[0].box == (0.5, 0.0, 1.0, 1.0) and found[0].path is None
    other = cr.Collection("a", "image", regions=cr.Ragged(np.ones((1, 3)), [1]))
    with pytest.raises(
        FeatureMismatchError, match="regions of 2 dimensions, those of the images have 3"
    ):
        nearest_pictures(bank, ["x"], other, 1)


def test_words_of_captions_label_whole_pictures(photos: Path) -> None:
    class Parser:
        def phrases(self, texts: object) -> Iterator[list[tuple[str, tuple[str, ...]]]]:
            for text in texts:  # type: ignore[attr-defined]  # an iterable of str
                words = text.split()
                yield [(words[-1], tuple(words[:-1]))]

        def fingerprint(self) -> str:
            return "last"

    paths = [photos / "flag" / "a.png", photos / "wall" / "c.png"]
    captions = [["red flag", "flag"], ["wall", "red wall"]]
    source = CaptionWords.from_captions(paths, captions, Parser())
    assert source.words == (("red", "flag"), ("wall", "red"))
    bank = build(RegionSource(source, ColourGrid()))
    assert bank.counts[bank.row("red")] == 2
    assert bank.lookup("red").tolist() == pytest.approx([100, 0, 50], abs=1e-3)


def test_captions_are_a_source_and_sharpen_a_bank(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("spacy")
    source, bank, sharp = tmp_path / "captions.jsonl", tmp_path / "bank", tmp_path / "sharp"
    lines = [
        {"image": "flag/a.png", "captions": ["a red flag"]},
        {"filename": "wall/c.png", "captions": ["a wall", "a red wall"], "split": "train"},
    ]
    source.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    given = (source, "--images", photos, "--encoder", "colourgrid")
    run("build", *given, "-o", bank)
    run("build", *given, "--sharpen", bank, "--keep", 1, "-o", sharp)
    whole, best = map(KnowledgeBank.open, (bank, sharp))
    assert set(whole.words) == set(best.words) == {"red", "flag", "wall"}
    assert best.data["how"] == "sharpened"
    # each picture is red in one half: one cell is one colour, the whole picture is between
    assert whole.lookup("red").tolist() == pytest.approx([100, 0, 50], abs=1e-3)
    assert best.lookup("red").tolist() != pytest.approx([100, 0, 50], abs=1e-3)
    words = CaptionWords.read(source, photos)
    sharpening = SharpRegions(words, whole, ColourGrid(), 1, batch_size=1)
    everything = list(sharpening)
    for start in range(len(everything) + 1):
        rest = list(sharpening.from_item(start))
        assert [word for word, _ in rest] == [word for word, _ in everything[start:]]


def test_captions_that_are_none(photos: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "captions.jsonl", tmp_path / "out"
    source.write_text('{"image": "flag/a.png", "captions": "a flag"}', encoding="utf-8")
    given = ("--images", photos, "--encoder", "colourgrid", "-o", out)
    assert "line 1: give" in run("build", source, *given, code=2).stderr
    said = run("build", photos, "--encoder", "colourgrid", "--sharpen", out, "-o", out, code=2)
    assert "--sharpen is for captions" in said.stderr
    assert not out.exists()
