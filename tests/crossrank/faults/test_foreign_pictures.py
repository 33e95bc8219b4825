"""Pages show no picture that a stranger's collection names."""

from __future__ import annotations

import json
import logging
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank._items import provenance
from crossrank._items.extending import append_items
from crossrank.errors import ImageError
from crossrank.report import embed, may_show
from crossrank_ablation.gallery import _Teller
from crossrank_dialogue.page import thumbnail
from crossrank_hubness.reporting import _picture
from crossrank_serve.gallery import Gallery
from crossrank_serve.problems import RequestError
from toys.ablation import Noisy, split
from toys.basic import ToyEncoder


@pytest.fixture(autouse=True)
def another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin with a user who has written nothing yet."""
    monkeypatch.setenv("CROSSRANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(provenance.ALLOWED, raising=False)
    forget(monkeypatch)
    yield


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be another process."""
    monkeypatch.setattr(provenance, "_own", set())
    provenance._warn.cache_clear()


@pytest.fixture
def private(tmp_path: Path) -> Path:
    path = tmp_path / "private" / "passport.png"
    path.parent.mkdir()
    Image.new("RGB", (8, 8), (250, 10, 10)).save(path)
    return path


def written(folder: Path, picture: Path) -> Path:
    embedding = np.eye(2, dtype=np.float32)
    paths = [str(picture), str(picture)]
    cr.Collection(["a", "b"], "image", embedding=embedding, path=paths).save(folder)
    return folder


@pytest.fixture
def foreign(tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a collection from elsewhere that names a picture of here."""
    monkeypatch.setenv("CROSSRANK_CACHE", str(tmp_path / "theirs"))
    folder = written(tmp_path / "downloaded", private)
    monkeypatch.setenv("CROSSRANK_CACHE", str(tmp_path / "cache"))
    forget(monkeypatch)
    return folder


def shows(collection: cr.Collection) -> bool:
    return may_show(collection["path"][0]) and "<img" in collection._repr_html_()


def test_what_was_written_here_is_shown_by_later_processes_too(
    tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "own", private)
    forget(monkeypatch)
    assert shows(cr.Collection.open(folder))
    moved = shutil.copytree(folder, tmp_path / "moved")
    assert shows(cr.Collection.open(moved))
    assert (tmp_path / "cache" / "written").stat().st_mode & 0o077 == 0


def test_a_strangers_collection_shows_nothing_and_says_so_once(
    foreign: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gallery = cr.Collection.open(foreign)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert not shows(gallery)
            with pytest.raises(ImageError, match=r"was not written here.*CROSSRANK_PICTURES"):
                embed(gallery["path"][0])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(foreign) in caplog.text and "CROSSRANK_PICTURES=FOLDER" in caplog.text


def test_parts_and_copies_of_it_are_a_strangers_still(
    foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = cr.Collection.open(foreign)
    gallery.take([1]).save(tmp_path / "part")
    gallery.save(tmp_path / "copy")
    cr.Collection.concat([gallery.take([0])], out=tmp_path / "joined")
    own = cr.Collection(["c"], "image", embedding=[[1.0, 0.0]], path=["mine.png"])
    own.save(tmp_path / "grown")
    append_items(tmp_path / "grown", [gallery.take([0])], ["a"])
    parts = [
        gallery.take([0]),
        gallery.with_features(text=["x", "y"]),
        pickle.loads(pickle.dumps(gallery)),
        pickle.loads(pickle.dumps(gallery.take([0]))),
        *(cr.Collection.open(tmp_path / name) for name in ("part", "copy", "joined")),
        cr.Collection.open(tmp_path / "grown").take([1]),
    ]
    assert [shows(each) for each in parts] == [False] * len(parts)
    forget(monkeypatch)
    names = ("part", "copy", "joined")
    assert not any(shows(cr.Collection.open(tmp_path / name)) for name in names)


def test_extending_ones_own_keeps_it(
    tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "own", private)
    more = cr.Collection(["c"], "image", embedding=[[0.0, 1.0]], path=[str(private)])
    append_items(folder, [more], ["c"])
    forget(monkeypatch)
    grown = cr.Collection.open(folder)
    assert len(grown) == 3 and shows(grown)


def test_named_folders_are_shown_and_links_out_of_them_not(
    foreign: Path, private: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "pictures"
    theirs.mkdir()
    monkeypatch.setenv(provenance.ALLOWED, str(theirs))
    assert not shows(cr.Collection.open(foreign))
    Image.new("RGB", (8, 8)).save(theirs / "x.png")
    (theirs / "y.png").symlink_to(private)
    monkeypatch.setenv("CROSSRANK_CACHE", str(tmp_path / "theirs"))
    names = [str(theirs / "x.png"), str(theirs / "y.png"), str(theirs / ".." / "private" / "p.png")]
    cr.Collection(["x", "y", "z"], "image", path=names).save(tmp_path / "second")
    monkeypatch.setenv("CROSSRANK_CACHE", str(tmp_path / "cache"))
    forget(monkeypatch)
    second = cr.Collection.open(tmp_path / "second")["path"]
    assert [may_show(path) for path in second] == [True, False, False]
    monkeypatch.setenv(provenance.ALLOWED, str(private.parent))
    assert shows(cr.Collection.open(foreign))


def test_paths_put_into_ones_own_collection_are_not_believed(
    tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "own", tmp_path / "private" / "harmless.png")
    content = (folder / "path.jsonl").read_text()
    (folder / "path.jsonl").write_text(content.replace("harmless", "passport"))
    gallery = cr.Collection.open(folder)
    assert gallery["path"][0] == str(private) and not shows(gallery)
    forget(monkeypatch)
    assert not shows(cr.Collection.open(folder))


def test_paths_changed_under_a_server_are_not_believed(tmp_path: Path, private: Path) -> None:
    """The same process opens the folder again, whose manifest says what it said before."""
    folder = written(tmp_path / "own", tmp_path / "private" / "harmless.png")
    assert may_show(cr.Collection.open(folder)["path"][0])
    content = (folder / "path.jsonl").read_text()
    (folder / "path.jsonl").write_text(content.replace("harmless", "passport"))
    assert not may_show(cr.Collection.open(folder)["path"][0])


def test_fingerprints_do_not_depend_on_where_a_path_comes_from(foreign: Path) -> None:
    gallery = cr.Collection.open(foreign)
    embedding = np.eye(1, 2, dtype=np.float32)
    plain = cr.Collection(["a"], "image", embedding=embedding, path=[str(gallery["path"][0])])
    assert gallery.take([0]).fingerprint() == plain.fingerprint()
    assert json.loads(json.dumps(list(gallery["path"]))) == list(plain["path"]) * 2


def test_without_a_cache_folder_the_process_itself_remembers(
    tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("CROSSRANK_CACHE", str(blocked))
    folder = written(tmp_path / "own", private)
    assert shows(cr.Collection.open(folder))
    forget(monkeypatch)
    assert not shows(cr.Collection.open(folder))


def test_the_record_is_not_written_through_a_link(tmp_path: Path, private: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "written").symlink_to(precious)
    written(tmp_path / "own", private)
    assert precious.read_text() == "mine"


def test_ids_of_a_run_show_pictures_of_the_working_folder_alone(
    tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Image.new("RGB", (8, 8)).save("near.png")
    for id, shown in ((str(private), 0), ("../private/passport.png", 0), ("near.png", 1)):
        candidates = cr.Candidates.from_lists({"q": [id]})
        assert candidates._repr_html_().count("<img") == shown


def test_pages_of_a_strangers_gallery_hold_no_picture(
    foreign: Path, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = cr.Collection.open(foreign)
    assert _picture(gallery["path"], 0) is None
    assert thumbnail(gallery["path"][0]) is None
    with pytest.raises(RequestError) as refused:
        Gallery(foreign, ToyEncoder(), ()).thumbnail(0)
    assert refused.value.status == 404
    monkeypatch.setenv(provenance.ALLOWED, str(private.parent))
    thumbnail.cache_clear()
    assert _picture(gallery["path"], 0) is not None
    assert thumbnail(gallery["path"][0]) is not None
    assert Gallery(foreign, ToyEncoder(), ()).thumbnail(0)


def test_a_studys_page_of_a_strangers_gallery_holds_no_picture(
    private: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = split(12)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("CROSSRANK_CACHE", str(tmp_path / "theirs"))
        theirs = data.gallery.with_features(path=[str(private)] * 12)
        theirs.save(tmp_path / "downloaded")
    forget(monkeypatch)
    gallery = cr.Collection.open(tmp_path / "downloaded")

    def page(out: Path) -> str:
        cr.ablate(
            cr.Pipeline([cr.Stage(Noisy)]),
            cr.Split(data.queries, gallery, data.qrels, depth=4),
            statistics={"resamples": 99},
            cache=False,
            output=out,
        )
        return (out / "report.html").read_text()

    assert "data:image/jpeg" not in page(tmp_path / "out")
    # an id that leads out of the folder of pictures names none of them
    images = tmp_path / "images"
    images.mkdir()
    ids = [f"../private/{'passport' if row == 0 else row}" for row in range(12)]
    assert (images / f"{ids[0]}.png").is_file()
    teller: Any = SimpleNamespace(plan=SimpleNamespace(pictures=images))
    assert _Teller._picture(teller, cr.Collection(ids, "image"), ids[0]) is None
    # who writes a study may say where its pictures lie
    teller.plan.pictures = private.parent
    assert _Teller._picture(teller, gallery, gallery.ids[0]) == str(private)
    monkeypatch.setenv(provenance.ALLOWED, str(private.parent))
    gallery = cr.Collection.open(tmp_path / "downloaded")
    assert "data:image/jpeg" in page(tmp_path / "again")
