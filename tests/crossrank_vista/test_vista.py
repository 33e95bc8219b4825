"""The encoder ``vista`` against a naive forward pass, on tiny models of both text encoders."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

import crossrank as cr
from crossrank.errors import CrossrankError, ParameterError, PluginError, StoreError
from crossrank.testing import check_encoder
from crossrank_vista.encoder import VistaEncoder
from toys.tiny_vista import build, naive

Folder = Callable[[str], Path]
KINDS = ("bert", "roberta")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Return a function from a kind of text encoder to a folder of parts; nobody changes it."""

    @lru_cache
    def folder(kind: str) -> Path:
        return build(kind, tmp_path_factory.mktemp("vista") / kind)

    return folder


def pictures(count: int = 3) -> list[Image.Image]:
    rng = np.random.default_rng(3)
    return [
        Image.fromarray(rng.integers(0, 256, (30 + 9 * n, 50, 3), dtype=np.uint8))
        for n in range(count)
    ]


TEXTS = ["a dog runs", "two cats in the street", "man"]


def embed(encoder: VistaEncoder, items: list[cr.Item], modality: str) -> NDArray[np.float32]:
    made: Any = encoder.encode_batch(items, modality, ("embedding",))["embedding"]
    return np.asarray(made)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_naive_forward_pass(kind: str, checkpoint: Folder) -> None:
    encoder = VistaEncoder(model=checkpoint(kind))
    shown = pictures()
    both = [cr.Item(str(n), TEXTS[n], shown[n]) for n in range(3)]
    for modality in ("text", "image", "image+text"):
        found = embed(encoder, both, modality)
        for n in range(3):
            text = TEXTS[n] if "text" in modality else ""
            expected = naive(encoder, text, shown[n] if "image" in modality else None)
            np.testing.assert_allclose(found[n], expected, atol=1e-5)
    assert np.abs(embed(encoder, both, "image") - embed(encoder, both, "image+text")).max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_one_by_one(kind: str, checkpoint: Folder) -> None:
    encoder = VistaEncoder(model=checkpoint(kind))
    items = [cr.Item(str(n), TEXTS[n], each) for n, each in enumerate(pictures())]
    for modality in ("text", "image", "image+text"):
        together = embed(encoder, items, modality)
        alone = np.concatenate([embed(encoder, [item], modality) for item in items])
        np.testing.assert_allclose(together, alone, atol=1e-5)


def test_texts_are_cut_to_what_the_picture_leaves(checkpoint: Folder) -> None:
    """16 image tokens and [CLS] leave 40 − 16 − 1 = 23 positions, one of them for [SEP]."""
    encoder = VistaEncoder(model=checkpoint("bert"))
    picture = pictures(1)[0]
    fits, long = ("dog " * count for count in (22, 23))
    items = [cr.Item("fits", fits, picture), cr.Item("long", long, picture)]
    found = embed(encoder, items, "image+text")
    assert encoder.cut_texts == 1
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    np.testing.assert_allclose(found[0], naive(encoder, fits, picture), atol=1e-5)
    embed(encoder, [cr.Item("alone", long)], "text")
    assert encoder.cut_texts == 1, "without a picture it fits"


def test_every_promise_of_an_encoder(checkpoint: Folder) -> None:
    broken = []
    for check in check_encoder(VistaEncoder, model=str(checkpoint("bert"))):
        try:
            check()
        except AssertionError as error:
            broken.append(f"{check.__name__}: {error}")
    assert not broken, "\n".join(broken)


def test_composed_queries_through_search_rerank_and_evaluate(
    checkpoint: Folder, tmp_path: Path
) -> None:
    encoder = VistaEncoder(model=checkpoint("bert"))
    shown = pictures()
    gallery = cr.encode(encoder, [cr.Item(f"i{n}", image=each) for n, each in enumerate(shown)])
    asked = [cr.Item(f"q{n}", TEXTS[n], each) for n, each in enumerate(shown)]
    queries = cr.encode(encoder, asked, out=tmp_path / "queries")
    assert queries.modality == "image+text"
    assert tuple(queries["text"]) == tuple(TEXTS)
    found = cr.search(queries, gallery, depth=3)
    expected = np.asarray(queries["embedding"]) @ np.asarray(gallery["embedding"]).T
    np.testing.assert_array_equal(found.index, np.argsort(-expected, axis=1, kind="stable"))

    class Cosine(cr.Reranker):
        info = cr.RerankerInfo(
            name="cosine",
            summary="inner product",
            query_features=("embedding",),
            candidate_features=("embedding",),
        )

        def score(self, block: cr.Block, state: Any) -> cr.Scores:
            assert block.direction == "it2i"
            rows = np.asarray(block.candidates["embedding"])[block.index]
            return cr.Scores(np.einsum("qd,qkd->qk", block.queries["embedding"], rows))

    pipeline = cr.Pipeline([cr.Stage(Cosine, fusion=cr.Replace())])
    rankings = pipeline.rerank(found, queries, gallery)
    assert [hit.id for hit in rankings["q1"]] == [f"i{row}" for row in found.index[1]]
    qrels = {f"q{n}": f"i{found.index[n, 0]}" for n in range(3)}
    assert cr.evaluate(rankings, qrels)["reranked"]["R@1"] == 100

    forms: list[Any] = [asked[1], [shown[1], TEXTS[1]]]
    for query in forms:
        ranking = cr.rerank(query, list(shown), Cosine, encoder=encoder)
        assert [hit.index for hit in ranking] == found.index[1].tolist()
        np.testing.assert_allclose(
            [hit.score for hit in ranking], np.sort(expected[1])[::-1], atol=1e-5
        )


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"model": ""}, "model is ''"),
        ({"text": 3}, "text is 3"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"local_files_only": 1}, "local_files_only is 1"),
    ],
)
def test_a_wrong_parameter_is_refused_at_once(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        VistaEncoder(**params)


def test_parts_that_are_missing_or_do_not_fit(checkpoint: Folder, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint("bert"), tmp_path / "parts"))
    item = [cr.Item("0", "a dog")]

    def refused(says: str, error: type[CrossrankError] = StoreError, **params: Any) -> None:
        with pytest.raises(error, match=says):
            embed(VistaEncoder(**{"model": folder, **params}), item, "text")

    refused("device 'nonsense'", ParameterError, device="nonsense")
    save_file(
        {"weight": torch.zeros(32, 25), "bias": torch.zeros(32)}, folder / "visual_proj.safetensors"
    )
    refused("leads from 25 to 32, but image/ gives 24 and text/ takes 32")
    save_file({"weight": torch.zeros(32, 24)}, folder / "visual_proj.safetensors")
    refused("instead of weight and bias")
    (folder / "visual_proj.safetensors").unlink()
    refused("is missing: weight and bias")
    shutil.rmtree(folder / "image")
    refused("holds no image/config.json")
    refused("none of the releases", model="Visualized_large")
    refused("no released checkpoint that can be read safely", model=__file__)


def test_a_release_that_the_hub_does_not_give(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(PluginError, match=r"Visualized_m3\.pth .*no route.*hf download"):
        embed(VistaEncoder(model="Visualized_m3"), [cr.Item("0", "a dog")], "text")


def test_a_fingerprint_knows_the_content(checkpoint: Folder, tmp_path: Path) -> None:
    first = VistaEncoder(model=checkpoint("bert")).fingerprint()
    copy = Path(shutil.copytree(checkpoint("bert"), tmp_path / "copy"))
    assert VistaEncoder(model=copy, device="cuda").fingerprint() == first
    (copy / "visual_proj.safetensors").write_bytes(b"")
    assert VistaEncoder(model=copy).fingerprint() != first
