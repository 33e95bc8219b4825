"""Published tables: every row planned, and run on tiny stand-ins in the layouts of its files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import crossrank as cr
from crossrank.cli import main
from crossrank.errors import CrossrankError, FormatError, InputError, StoreError
from crossrank_clip.encoder import ClipEncoder
from crossrank_reproduce import plan, read_table, reproduce, table_names
from crossrank_reproduce import run as running
from crossrank_reproduce.needs import RECORD
from crossrank_reproduce.tables import Table
from toys import reproduce as toy

ROWS = [row.name for table in table_names() for row in read_table(table).rows]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with tiny files of every row; nobody changes what lies in it."""
    return toy.build(tmp_path_factory.mktemp("reproduce") / "data")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let rows whose encoder has a fixed size run with a tiny one."""

    def read(name: str) -> Table:
        table = read_table(name)
        return replace(table, rows=tuple(map(toy.stand_in, table.rows)))

    monkeypatch.setattr(running, "read_table", read)


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["reproduce", *map(str, arguments)])


def refused(*arguments: object) -> str:
    """Return what the program says, one line, with exit code 2."""
    done = command(*arguments)
    assert done.exit_code == 2, done.output
    assert done.output.count("\n") == 1
    return done.output.strip()


def test_the_published_tables_are_there() -> None:
    assert set(table_names()) == {
        *("filip", "georsclip", "mack", "mobileclip", "qperturb", "vista"),
    }
    assert len(ROWS) == len(set(ROWS)) == 26


@pytest.mark.parametrize(
    ("row", "direction", "measure", "value"),
    [
        ("filip/flickr30k", "i2t", "R@1", 89.8),
        ("filip/coco", "t2i", "R@10", 79.3),
        ("mack/flickr30k-clip-mack", "t2i", "R@1", 66.8),
        ("mack/flickr30k-albef-mack", "both", "RSUM", 513.1),
        ("mobileclip/coco-b", "i2t", "R@1", 68.8),
        ("mobileclip/flickr30k-s2", "t2i", "R@1", 73.4),
        ("georsclip/rsitmd", "t2i", "R@5", 41.46),
        ("georsclip/rsicd", "i2t", "R@10", 38.61),
        ("qperturb/flickr30k-qperturb", "i2t", "R@1", 97.7),
        ("qperturb/coco-blip2", "t2i", "R@1", 68.3),
        ("vista/cirr", "it2i", "R@5", 22.51),
        ("vista/examples", "similarity", "composed 1", 0.875),
    ],
)
def test_figures_are_the_published_ones(
    row: str, direction: str, measure: str, value: float
) -> None:
    assert read_table(row).rows[0].published[direction][measure] == value


def test_the_list_names_every_row() -> None:
    done = command("--list")
    assert done.exit_code == 0
    for row in ROWS:
        assert f"{row} " in done.output
    listed = json.loads(command("--list", "--json").output)["rows"]
    assert [each["row"] for each in listed] == ROWS
    assert "filip/coco" not in command("mobileclip", "--list").output


@pytest.mark.parametrize("row", ROWS)
def test_a_dry_run_of_every_row_without_any_file(row: str, tmp_path: Path) -> None:
    done = command(row, "--data", tmp_path / "none", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "not ready" in done.output
    assert re.search(r"^  1\. ", done.output, re.MULTILINE)
    (planned,) = plan(row)
    assert planned["row"] == row
    assert planned["steps"]
    assert planned["traps"]
    assert planned["published"]
    for need in planned["needs"]:
        assert need["state"] == "missing"
        assert need["url"] is None or need["url"].startswith(("https://", "http://"))
        assert need["url"] or "own" in need["what"] or "by" in need["what"]


@pytest.mark.parametrize("row", ROWS)
def test_a_dry_run_of_every_row_with_its_files(row: str, data: Path) -> None:
    before = sorted(data.rglob("*"))
    (planned,) = plan(row, data)
    assert [need["state"] for need in planned["needs"] if need["state"] == "missing"] == []
    wrong = [need["name"] for need in planned["needs"] if need["state"] == "wrong"]
    assert wrong == (["vista-base"] if row.startswith("vista/") else [])  # its size is published
    assert planned["ready"] == (not wrong)
    assert sorted(data.rglob("*")) == before


def test_plans_say_what_moves_the_figures(tmp_path: Path) -> None:
    said = command("qperturb/coco-blip2", "--data", tmp_path, "--dry-run").output
    assert "rerank the best 128 by blip2" in said
    assert "the first 5 captions of each picture" in said
    assert "k_test" in said
    planned = json.loads(command("qperturb", "--dry-run", "--json").output)["rows"]
    assert planned == plan("qperturb")
    said = command("georsclip/rsitmd", "--data", tmp_path, "--dry-run").output
    assert "convert clip-state-dict" in said
    assert "--activation quick-gelu" in said
    assert "satellite photo" in said
    said = command("mack/flickr30k-albef-mack", "--data", tmp_path, "--dry-run").output
    assert "rerank the best 15 by mack" in said
    assert "adding 0.15 times its softmax score" in said


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.usefixtures("tiny")
def test_every_row_runs_on_its_layout(row: str, data: Path, tmp_path: Path) -> None:
    outcome = reproduce(row, data, out=tmp_path / "out", check=False)
    published = read_table(row).rows[0].published
    asked = [(way, name) for way, measures in published.items() for name in measures]
    assert [(each.direction, each.measure) for each in outcome.figures] == asked
    for each in outcome.figures:
        assert each.row == row
        low, high = (-1, 1) if each.direction == "similarity" else (0, 600)
        assert low <= each.ours <= high
        assert each.difference == each.ours - each.published
    if "expected" in read_table(row).rows[0].dataset:
        assert any("not the published split" in note for note in outcome.notes[row])
    kept = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(outcome.to_dict()))


def first_rank_recall(scores: np.ndarray, owner: np.ndarray, k: int) -> tuple[float, float]:
    """R@k of t2i and i2t, query by query; ``[pictures, captions]``."""
    t2i = [
        owner[caption] in np.argsort(-scores[:, caption], kind="stable")[:k]
        for caption in range(scores.shape[1])
    ]
    i2t = [
        picture in owner[np.argsort(-scores[picture], kind="stable")[:k]]
        for picture in range(len(scores))
    ]
    return 100 * float(np.mean(t2i)), 100 * float(np.mean(i2t))


@pytest.mark.usefixtures("tiny")
def test_embeddings_are_searched_over_five_captions_a_picture(data: Path) -> None:
    outcome = reproduce("mobileclip/coco-s1", data, check=False)
    captions = toy.captions(data, "coco")
    assert len(captions.texts) == 5 * toy.PICTURES + 1
    kept = [n for n, id in enumerate(captions.text_ids) if int(id.rpartition("#")[2]) < 5]
    encoder = ClipEncoder(model=data / "weights" / "filip")
    images = cr.encode(encoder, captions.image_items(data / "coco"))["embedding"]
    texts = cr.encode(encoder, [captions.text_items()[n] for n in kept])["embedding"]
    scores = np.asarray(images, np.float64) @ np.asarray(texts, np.float64).T
    owner = np.array(captions.text_to_image)[kept]
    expected = first_rank_recall(scores, owner, 1)
    assert [each.ours for each in outcome.figures] == pytest.approx(expected)


def test_filip_scores_every_pair_by_the_mean_of_each_side(data: Path) -> None:
    outcome = reproduce("filip/flickr30k", data)
    captions = toy.captions(data, "flickr30k")
    encoder = ClipEncoder(model=data / "weights" / "filip")
    names = ("tokens",)
    folder = data / "flickr30k" / "flickr30k-images"
    images = cr.encode(encoder, captions.image_items(folder), features=names)["tokens"]
    texts = cr.encode(encoder, captions.text_items(), features=names)["tokens"]
    both = np.zeros((2, len(images), len(texts)))
    for i, image in enumerate(images):
        for t, text in enumerate(texts):
            pair = np.asarray(image, np.float64) @ np.asarray(text, np.float64).T
            both[:, i, t] = pair.max(axis=0).mean(), pair.max(axis=1).mean()
    owner = np.array(captions.text_to_image)
    ours = {(each.direction, each.measure): each.ours for each in outcome.figures}
    for k in (1, 5, 10):
        assert ours["t2i", f"R@{k}"] == pytest.approx(first_rank_recall(both[0], owner, k)[0])
        assert ours["i2t", f"R@{k}"] == pytest.approx(first_rank_recall(both[1], owner, k)[1])


def test_recall_of_a_mixed_corpus_is_the_share_that_is_found(
    data: Path, tiny: None, tmp_path: Path
) -> None:
    outcome = reproduce("vista/webqa", data, check=False, out=tmp_path / "out")
    assert outcome.figures[0].ours == 100.0  # the corpus has four entries
    folders = {path.name for path in (tmp_path / "out" / "features").iterdir()}
    assert {"vista-webqa-corpus-text", "vista-webqa-corpus-image+text"} <= folders


@pytest.mark.usefixtures("tiny")
def test_small_objects_choose_the_queries_and_nothing_else(data: Path) -> None:
    outcome = reproduce("qperturb/flickr30k-qperturb-small", data)
    notes = outcome.notes["qperturb/flickr30k-qperturb-small"]
    assert any("10 captions are of pictures with small objects" in each for each in notes)
    share = outcome.figures[0].ours / 10
    assert share == pytest.approx(round(share))  # of ten queries


@pytest.mark.usefixtures("tiny")
def test_a_run_goes_on_where_it_was(data: Path, tmp_path: Path) -> None:
    first = reproduce("georsclip/rsicd", data, out=tmp_path / "out")
    made = tmp_path / "out" / "made" / "RS5M_ViT-B-32"
    stamp = (made / "config.json").stat().st_mtime_ns
    features = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.npy")}
    again = reproduce("georsclip/rsicd", data, out=tmp_path / "out")
    assert replace(again, notes={}) == replace(first, notes={})
    # whichever test sees the files first is told that their digests were kept; later ones are not
    (told,), (told_again,) = first.notes.values(), again.notes.values()
    assert told[-len(told_again) :] == told_again
    assert (made / "config.json").stat().st_mtime_ns == stamp
    assert {path: path.stat().st_mtime_ns for path in features} == features


def test_an_unknown_table_or_row_gets_the_nearest_names(data: Path) -> None:
    assert "did you mean 'mobileclip'" in refused("mobilclip", "--data", data)
    assert "did you mean 'coco-s1'" in refused("mobileclip/coco-s11", "--data", data)
    assert "did you mean 'vista'" in refused("vsta", "--dry-run")
    assert "or --list" in refused()
    assert "give --data DIR" in refused("filip")
    assert "is not a folder" in refused("filip", "--data", data / "none")
    assert "no table '../tables/vista'" in refused("../tables/vista", "--dry-run")
    taken = data / "flickr30k" / "dataset_flickr30k.json"
    assert "could not be written" in refused("filip", "--data", data, "-o", taken)


@pytest.mark.parametrize("row", ROWS)
def test_what_is_missing_is_said_with_where_it_comes_from_and_goes(
    row: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        reproduce(row, tmp_path, weights=tmp_path / "w")
    said, need = str(caught.value), read_table(row).rows[0].needs[0]
    assert f"{row} needs {need.name}" in said
    assert need.url in said
    there = need.path.replace("{data}", str(tmp_path)).replace("{weights}", str(tmp_path / "w"))
    assert there.rstrip("/") in said
    assert "--dry-run" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("tiny")
def test_rows_without_their_files_are_left_out_and_said(tmp_path: Path) -> None:
    data = toy.build(tmp_path / "data")  # of its own: what other weights are is kept there
    own = tmp_path / "weights"
    own.mkdir()
    (own / "filip").symlink_to(data / "weights" / "filip")
    for name in ("s1", "s2"):
        (own / f"mobileclip_{name}.pt").write_bytes(b"weights")
    done = command("mobileclip", "--data", data, "--weights", own, "--no-check")
    assert done.exit_code == 0, done.output
    assert "mobileclip/coco-b: not run; download it from https://docs-assets" in done.output
    assert re.search(r"^mobileclip/coco-s1 .* 44.00 +[-+]\d", done.output, re.MULTILINE)
    assert "not the published split" in done.output


def test_a_file_of_another_size_or_digest_is_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refused("vista/cirr", "--data", data)
    assert "size 27 bytes instead of 392860018 bytes, published" in said
    assert "--no-check" in said

    def read(name: str) -> Table:
        table = read_table(name)
        (row,) = table.rows
        needs = tuple(replace(need, sha256="0" * 64) for need in row.needs if not need.is_folder)
        return replace(table, rows=(replace(row, needs=needs),))

    monkeypatch.setattr(running, "read_table", read)
    said = refused("mobileclip/coco-s1", "--data", data)
    assert f"instead of {'0' * 64}, published" in said
    assert "download it from https://" in said


@pytest.mark.usefixtures("tiny")
def test_files_are_compared_before_any_row_is_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(running.KINDS, "pairs", lambda row, encoding: pytest.fail("it was run"))
    with pytest.raises(StoreError, match="has size 27 bytes"):
        reproduce("vista", data, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("tiny")
def test_what_is_not_published_is_kept_at_first_sight(tmp_path: Path) -> None:
    data = toy.build(tmp_path / "data")
    outcome = reproduce("mobileclip/flickr30k-s2", data)
    assert any(
        "are not published; kept in" in each for each in outcome.notes[outcome.figures[0].row]
    )
    record = json.loads((data / RECORD).read_text(encoding="utf-8"))
    assert set(record) == {"karpathy-flickr30k", "mobileclip-s2"}
    again = reproduce("mobileclip/flickr30k-s2", data)
    assert not any("kept in" in each for each in again.notes[again.figures[0].row])
    (planned,) = plan("mobileclip/flickr30k-s2", data)
    assert "size as kept at first sight" in [need["said"] for need in planned["needs"]]

    weights = data / "weights" / "mobileclip_s2.pt"
    weights.write_bytes(weights.read_bytes()[::-1])  # of the same size
    with pytest.raises(StoreError, match=r"mobileclip_s2\.pt has sha256 .* kept at first sight"):
        reproduce("mobileclip/flickr30k-s2", data)
    said = reproduce("mobileclip/flickr30k-s2", data, check=False)
    assert any("sha256" in each for each in said.notes[said.figures[0].row])

    (data / RECORD).write_text("[]", encoding="utf-8")
    with pytest.raises(FormatError, match=r"crossrank-files\.json .*remove it"):
        reproduce("mobileclip/flickr30k-s2", data)


@pytest.mark.usefixtures("tiny")
def test_damaged_data_is_named(tmp_path: Path) -> None:
    data = toy.build(tmp_path / "data")

    def says(row: str, pattern: str, error: type[Exception]) -> None:
        with pytest.raises(error, match=pattern):
            reproduce(row, data, check=False)

    (data / "rsitmd" / "rsitmd_test.csv").write_text("file,text\na,b\n", encoding="utf-8")
    says("georsclip/rsitmd", "columns filename and title", FormatError)
    (data / "rsicd" / "rsicd_test.csv").write_text("filename,title\n1.tif,\n", encoding="utf-8")
    says("georsclip/rsicd", "line 2 has no file name or no caption", FormatError)
    (data / "coco" / "val2014" / "coco_3.jpg").unlink()
    says("mobileclip/coco-b", r"coco_3\.jpg is not there, one of 6 pictures", InputError)
    np.save(data / "mack" / "albef_flickr30k_t2i.npy", np.zeros((30, 6)))
    says("mack/flickr30k-albef", r"shape \(30, 6\), which must be \(6, 30\)", InputError)
    (data / "mack" / "flickr30k_regions" / "flickr30k_1.npy").unlink()
    says("mack/flickr30k-mack", r"flickr30k_1\.npy cannot be read", StoreError)
    (data / "cirr" / "image_splits" / "split.rc2.val.json").write_text("{}", encoding="utf-8")
    says("vista/cirr", "names the picture 'dev-0'", InputError)
    (data / "fashioniq" / "images" / "Bshirt1.png").unlink()
    says("vista/fashioniq", "no picture 'Bshirt1'", InputError)
    (data / "webqa" / "qrels.txt").write_text("nonsense\n", encoding="utf-8")
    says("vista/webqa", r"qrels\.txt", CrossrankError)


def test_help_and_lists_import_no_torch() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from crossrank.cli import main\n"
        "run = CliRunner().invoke(main, ['reproduce', '--list']); assert run.exit_code == 0\n"
        "run = CliRunner().invoke(main, ['reproduce', 'vista', '--dry-run'])\n"
        "assert run.exit_code == 0, run.output\n"
        "assert not {'torch', 'transformers', 'spacy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_need_and_data_set_is_used() -> None:
    from crossrank.plugin.files import parse_toml

    folder = Path(running.__file__).parent
    rows: list[Any] = [row for table in table_names() for row in read_table(table).rows]
    used = {need.name for row in rows for need in row.needs}
    assert used == set(parse_toml((folder / "files.toml").read_text(encoding="utf-8")))
    named = {row.dataset["name"] for row in rows if row.dataset}
    assert named == set(parse_toml((folder / "datasets.toml").read_text(encoding="utf-8")))
