"""LangChain: where pictures lie in documents, chains, and settings that are refused."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr

pytest.importorskip("langchain_core", reason="langchain_core is not installed; make test-hosts")

from langchain_core.documents import Document
from langchain_core.documents.base import Blob
from langchain_core.runnables import RunnableLambda

from crossrank_hosts.langchain import CrossrankCompressor

SETTINGS: dict[str, Any] = {"reranker": "dot", "encoder": "toy"}


def expected(photos: list[Path]) -> list[int]:
    return [hit.index for hit in cr.rerank("a dog", photos, **SETTINGS)]


@pytest.mark.parametrize("key", ["image_path", "source", "file_path", "picture"])
def test_pictures_are_named_in_the_metadata(photos: list[Path], key: str) -> None:
    made = CrossrankCompressor(**SETTINGS, image_key=key if key == "picture" else None)
    documents = [
        Document(page_content="a text", metadata={key: str(path), "n": n})
        for n, path in enumerate(photos)
    ]
    found = made.compress_documents(documents, "a dog")
    assert [each.metadata["n"] for each in found] == expected(photos)


def test_pictures_are_base64_as_chroma_keeps_them(photos: list[Path]) -> None:
    documents = [
        Document(page_content=base64.b64encode(path.read_bytes()).decode(), metadata={"n": n})
        for n, path in enumerate(photos)
    ]
    found = CrossrankCompressor(**SETTINGS).compress_documents(documents, "a dog")
    assert [each.metadata["n"] for each in found] == expected(photos)


def test_pictures_are_blobs(photos: list[Path]) -> None:
    blobs = [
        Blob.from_path(path) if n % 2 else Blob.from_data(path.read_bytes(), mime_type="image/png")
        for n, path in enumerate(photos)
    ]
    documents = [
        Document(page_content="", metadata={"blob": b, "n": n}) for n, b in enumerate(blobs)
    ]
    found = CrossrankCompressor(**SETTINGS).compress_documents(documents, "a dog")
    assert [each.metadata["n"] for each in found] == expected(photos)


def test_it_is_a_runnable_of_a_chain(photos: list[Path]) -> None:
    documents = [Document(page_content="", metadata={"image_path": str(path)}) for path in photos]
    chain = RunnableLambda(lambda q: {"query": q, "documents": documents}) | CrossrankCompressor(
        **SETTINGS, top_n=2
    )
    found = chain.invoke("a dog")
    assert [each.metadata["image_path"] for each in found] == [
        str(photos[place]) for place in expected(photos)[:2]
    ]
    assert asyncio.run(chain.ainvoke("a dog")) == found
    assert chain.batch(["a dog", "a cat"])[0] == found


def test_a_runnable_says_what_it_takes() -> None:
    with pytest.raises(ValueError, match="query"):
        CrossrankCompressor(**SETTINGS).invoke("a dog")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"topn": 3}, {"top_n": 0}, {"top_n": -1}, {"show": "sound"}], ids=str
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        CrossrankCompressor(**wrong)


@pytest.mark.parametrize(
    "score",
    ["high", float("nan"), float("inf"), True, [1], None, np.zeros(2), 10**400],
    ids=lambda score: type(score).__name__,
)
def test_a_score_that_is_no_number_is_none(photos: list[Path], score: Any) -> None:
    documents = [
        Document(page_content="", metadata={"image_path": str(path), "score": score})
        for path in photos
    ]
    found = CrossrankCompressor(**SETTINGS).compress_documents(documents, "a dog")
    assert {each.metadata["base_score"] for each in found} == {None}
    assert len(found) == len(photos)


def test_a_stored_gallery_opens_no_picture(photos: list[Path], tmp_path: Path) -> None:
    gallery = cr.encode("toy", photos, features=("embedding",))
    gallery.save(tmp_path / "gallery")
    order = expected(photos)
    for path in photos:
        path.unlink()
    documents = [
        Document(page_content="", metadata={"image_path": str(path), "n": n})
        for n, path in enumerate(photos)
    ]
    for stored in (gallery, str(tmp_path / "gallery")):
        made = CrossrankCompressor(**SETTINGS, gallery=stored)
        found = made.compress_documents(documents, "a dog")
        assert [each.metadata["n"] for each in found] == order


def test_a_picture_with_a_text_is_looked_at_as_asked(photos: list[Path]) -> None:
    texts = ["a cat", "a dog", "two dogs", "no animal", "a dog"]
    documents = [
        Document(page_content=text, metadata={"image_path": str(path), "n": n})
        for n, (path, text) in enumerate(zip(photos, texts, strict=True))
    ]
    pictures = CrossrankCompressor(**SETTINGS).compress_documents(documents, "a dog")
    assert [each.metadata["n"] for each in pictures] == expected(photos)
    said = CrossrankCompressor(**SETTINGS, show="text").compress_documents(documents, "a dog")
    reference = cr.rerank("a dog", texts, **SETTINGS)
    assert [each.metadata["n"] for each in said] == [hit.index for hit in reference]
