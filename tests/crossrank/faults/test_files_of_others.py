"""Files as other tools write them: each was read wrongly, or refused for the wrong reason, once."""

from __future__ import annotations

import ast
import gzip
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank._engine.durable import DurableRun
from crossrank._files.json_lines import read_json_lines
from crossrank._files.trec import read_qrels, read_run
from crossrank.errors import FormatError, ImageError, InputError, StoreError

ROOT = Path(__file__).parents[3]
MARK = "\ufeff"


def test_a_byte_order_mark_is_no_part_of_an_id(tmp_path: Path) -> None:
    run, qrels = tmp_path / "run.trec", tmp_path / "qrels.txt"
    run.write_text(f"{MARK}q1 Q0 a 1 0.5 x\nq2 Q0 b 1 0.5 x\n", encoding="utf-8")
    qrels.write_text(f"{MARK}q1 0 a 1\n", encoding="utf-8")
    assert list(read_run(run)) == ["q1", "q2"]
    assert read_qrels(qrels) == {"q1": {"a": 1}}
    lines = tmp_path / "items.jsonl"
    lines.write_text(f'{MARK}{{"id": "a"}}\n', encoding="utf-8")
    assert [value for _, value in read_json_lines(lines)] == [{"id": "a"}]


def test_a_gzipped_run_says_that_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "run.trec.gz"
    path.write_bytes(gzip.compress(b"q1 Q0 a 1 0.5 x\n"))
    with pytest.raises(FormatError, match=r"gzipped; unpack it first \(gunzip -k run"):
        read_run(path)


def test_lines_may_end_as_on_old_machines(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    path.write_bytes(b"q1 Q0 a 1 0.5 x\rq2 Q0 b 1 0.5 x\r")
    assert list(read_run(path)) == ["q1", "q2"]


def test_brackets_in_brackets_are_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(FormatError, match=r"items\.jsonl:1 is not a JSON value"):
        list(read_json_lines(path))


def test_a_collection_opened_by_a_relative_path_survives_chdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = np.eye(3, dtype=np.float32)
    cr.Collection(["a", "b", "c"], "image", embedding=rows, path=["x", "y", "z"]).save("gallery")
    gallery = cr.Collection.open("gallery")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert gallery["path"][1] == "y"
    assert (gallery.take(np.array([2]))["embedding"] == rows[2:]).all()


def jpeg(path: Path, tag: int, value: Any) -> Path:
    exif = Image.Exif()
    exif[tag] = value
    Image.new("RGB", (4, 2), (250, 10, 10)).save(path, exif=exif)
    return path


def test_the_orientation_is_applied(tmp_path: Path) -> None:
    assert cr.open_image(jpeg(tmp_path / "turned.jpg", 0x0112, 6)).size == (2, 4)


@pytest.mark.parametrize("damage", [TypeError, ZeroDivisionError, SyntaxError])
def test_metadata_that_cannot_be_read_refuses_no_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: type[Exception]
) -> None:
    path = jpeg(tmp_path / "odd.jpg", 0x011A, 72)

    def getexif(image: Image.Image) -> Any:
        raise damage("a resolution that is a text")

    monkeypatch.setattr(Image.Image, "getexif", getexif)
    assert cr.open_image(path).size == (4, 2)


@pytest.mark.parametrize("damage", [NotImplementedError, RuntimeError, KeyError, TypeError])
def test_whatever_a_decoder_raises_is_one_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: type[Exception]
) -> None:
    path = jpeg(tmp_path / "bad.jpg", 0x0112, 1)

    def load(image: Image.Image) -> Any:
        raise damage("pixel format 17")

    monkeypatch.setattr(Image.Image, "load", load)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(ImageError, match=r"bad\.jpg is damaged: .*pixel format 17"):
        cr.open_image(path)


def test_a_picture_of_floats_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "depth.tiff"
    Image.fromarray(np.ones((2, 2), np.float32)).save(path)
    with pytest.raises(ImageError, match=r"depth\.tiff holds floating-point values.*8-bit$"):
        cr.open_image(path)


def test_postscript_is_no_picture_whatever_its_name(tmp_path: Path) -> None:
    """Pillow would start Ghostscript, an interpreter, on what a stranger sent."""
    path = tmp_path / "holiday.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n%%EOF\n")
    with pytest.raises(ImageError, match="is not a picture"):
        cr.open_image(path)


@pytest.mark.parametrize("brightest", [200, 255, 256, 60_000])
def test_16_bit_greys_have_one_scale(tmp_path: Path, brightest: int) -> None:
    """One pixel of 256 made a dark picture 257 times as dark."""
    values = np.array([[0, 200], [100, brightest]], np.uint16)
    path = tmp_path / "grey.png"
    Image.fromarray(values).save(path)
    found = np.asarray(cr.open_image(path))[..., 0]
    assert found.tolist() == np.rint(values / 257).astype(int).tolist()


def test_32_bit_greys_beyond_16_bits_do_not_turn_white(tmp_path: Path) -> None:
    path = tmp_path / "deep.tiff"
    Image.fromarray(np.array([[0, 100_000], [200_000, 50_000]], np.int32)).save(path)
    found = np.asarray(cr.open_image(path))[..., 0]
    assert found.tolist() == [[0, 128], [255, 64]]


@pytest.mark.parametrize("given", [{"a": "a dog"}, type("Frame", (), {"columns": ["text"]})()])
def test_a_mapping_or_a_table_is_no_list_of_candidates(given: Any) -> None:
    with pytest.raises(InputError, match="of which the keys would be taken; give a list"):
        cr.rerank("a dog", given)


@pytest.mark.parametrize("name", ["lock", "blocks", "blocks/0-dot"])
def test_nothing_is_written_or_removed_through_a_link(tmp_path: Path, name: str) -> None:
    """A link named lock made a run truncate the file it points to; one named blocks, delete."""
    folder, home = tmp_path / "run", tmp_path / "home"
    home.mkdir()
    precious = home / ".precious.x"
    precious.write_text("everything")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(precious if name == "lock" else home)
    (folder / "run.json").write_text('{"format": "crossrank run", "version": 1}\n')
    refused = pytest.raises(StoreError, match="is a link; remove it")
    with refused, DurableRun.open(folder, {}, True) as run:
        run.blocks(0, "dot")
    assert precious.read_text() == "everything"


CALLS = [
    (path.relative_to(ROOT), node)
    for path in sorted((ROOT / "plugins").rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Call)
    and isinstance(node.func, ast.Attribute)
    and node.func.attr in ("from_pretrained", "from_config")
]


@pytest.mark.parametrize(
    ("path", "call"), CALLS, ids=[f"{path}:{call.lineno}" for path, call in CALLS]
)
def test_no_loader_runs_code_of_a_model_folder(path: Path, call: ast.Call) -> None:
    """Without it transformers asks on standard output, and 'y' on standard input suffices."""
    given = {word.arg: word.value for word in call.keywords}
    if None in given:  # **where, built with it in the same file
        text = (ROOT / path).read_text(encoding="utf-8")
        told = '"trust_remote_code": False' in text or '["trust_remote_code"] = False' in text
        assert told or "trust_remote_code" in given, f"{path}:{call.lineno}"
    else:
        told_here = given.get("trust_remote_code")
        assert isinstance(told_here, ast.Constant) and told_here.value is False, (
            f"{path}:{call.lineno} does not say trust_remote_code=False"
        )


def test_the_walk_finds_the_loaders() -> None:
    assert len(CALLS) > 10


def test_a_picture_is_not_asked_for_more_bytes_than_its_file_has(tmp_path: Path) -> None:
    """Found by research/fuzz.py: a chunk that says 2 GB made room for them (A2.8)."""
    path = tmp_path / "chunk.png"
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    place = content.index(b"IDAT") - 4
    content[place : place + 4] = (2_000_000_000).to_bytes(4, "big")
    path.write_bytes(content)
    tracemalloc.start()
    assert cr.open_image(path).size == (30, 20)  # the pixels are all there
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


def test_16_bit_greys_are_scaled_a_few_rows_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(np.full((4000, 3000), 30_000, np.uint16)).save(path)
    tracemalloc.start()
    picture = cr.open_image(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert picture.getpixel((7, 3999)) == (117, 117, 117)
    assert most < 5 * 4000 * 3000  # all at once took sixteen bytes and more a pixel
