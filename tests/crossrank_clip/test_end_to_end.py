"""The whole road with the encoder: conformance, encode → search → rerank, the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import crossrank as cr
from crossrank._search.search import search
from crossrank.cli import main
from crossrank.plugin import registry
from crossrank.testing import check_encoder
from crossrank_clip.encoder import ClipEncoder

Folder = Callable[[str], Path]
Loaded = Callable[[str], ClipEncoder]


@pytest.mark.parametrize("family", ["clip", "siglip2"])
def test_every_promise_of_an_encoder(family: str, checkpoint: Folder) -> None:
    broken = []
    for check in check_encoder(ClipEncoder, model=str(checkpoint(family))):
        try:
            check()
        except AssertionError as error:
            broken.append(f"{check.__name__}: {error}")
    assert not broken, "\n".join(broken)


def test_it_is_installed_under_its_name() -> None:
    assert registry.load_encoder("clip") is ClipEncoder
    assert "clip" in registry.providers("token_boxes", "image")


def test_encode_search_and_rerank(
    encoder: Loaded, texts: list[cr.Item], pictures: list[cr.Item], tmp_path: Path
) -> None:
    queries = cr.encode(encoder("clip"), texts)
    gallery = cr.encode(
        encoder("clip"),
        pictures,
        features=("embedding", "tokens", "token_boxes"),
        out=tmp_path / "g",
    )
    assert cr.Collection.open(tmp_path / "g").encoder == queries.encoder
    found = search(queries, gallery, depth=3)
    # the oracle: mean over words of the best patch
    words, patches = queries["tokens"], gallery["tokens"]
    expected = np.array(
        [
            [(words[n] @ patches[int(row)].T).max(axis=1).mean() for row in found.index[n]]
            for n in range(len(texts))
        ]
    )
    stage = cr.Stage("filip", fusion=cr.Replace(), params={"mode": "t2i"})
    ranked: Any = cr.Pipeline([stage]).rerank(found, queries, gallery)
    for n, text in enumerate(texts):
        ids = [gallery.ids[row] for row in found.index[n][np.argsort(-expected[n])]]
        assert [hit.id for hit in ranked[text.id]] == ids
        scores = [hit.score for hit in ranked[text.id]]
        np.testing.assert_allclose(scores, np.sort(expected[n])[::-1], atol=1e-5)


def test_the_command_line_tells_in_one_line_what_is_wrong(
    tmp_path: Path, checkpoint: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("a dog\ntwo cats\n", encoding="utf-8")

    def run(model: str | Path, out: str) -> Any:
        command = ["encode", "texts.txt", "--encoder", "clip", "--param", f"model={model}"]
        return CliRunner().invoke(main, [*command, "-o", out])

    failed = run("crossrank-tests/absent", "failed")
    assert failed.exit_code == 2
    assert failed.stderr.startswith("crossrank: clip: the model 'crossrank-tests/absent'")
    assert failed.stderr.count("\n") == 1
    assert not Path("failed").exists()
    assert run(checkpoint("clip"), "done").exit_code == 0
    assert cr.Collection.open("done")["tokens"].lengths.tolist() == [2, 2]
