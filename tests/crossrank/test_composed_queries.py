"""Pictures with texts: which encoder takes them as one, which in parts, and who is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import InputError


class Apart(cr.Encoder):
    """Knows pictures and texts: red, green and blue, or the letters r, g and b."""

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="apart",
        summary="colours",
        features={"image": ("embedding",), "text": ("embedding",)},
        default_features=("embedding",),
    )

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        rows = np.array([self.row(item, modality) for item in items], np.float32).reshape(-1, 3)
        return {"embedding": rows / np.linalg.norm(rows, axis=1, keepdims=True)}

    def row(self, item: cr.Item, modality: str) -> Any:
        if modality == "text":
            return [str(item.text).count(letter) + 0.1 for letter in "rgb"]
        assert item.image is not None
        return np.asarray(cr.open_image(item.image), float).mean(axis=(0, 1)) / 255 + 0.1


class Together(Apart):
    """Knows both at once: three times the text."""

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="together",
        summary="colours",
        features=dict.fromkeys(("image", "text", "image+text"), ("embedding",)),
        default_features=("embedding",),
    )

    def row(self, item: cr.Item, modality: str) -> Any:
        if modality != "image+text":
            return super().row(item, modality)
        return super().row(item, "image") + 3 * np.array(super().row(item, "text"))


class Dot(cr.Reranker):
    info = cr.RerankerInfo(
        name="dot",
        summary="inner product",
        query_features=("embedding",),
        candidate_features=("embedding",),
    )

    def score(self, block: cr.Block, state: Any) -> cr.Scores:
        rows = np.asarray(block.candidates["embedding"])[block.index]
        return cr.Scores(np.einsum("qd,qkd->qk", block.queries["embedding"], rows))


RED, GREEN, BLUE = (Image.new("RGB", (2, 2), name) for name in ("red", "lime", "blue"))
CANDIDATES = [RED, GREEN, BLUE]


def order(query: Any, encoder: cr.Encoder, candidates: Any = CANDIDATES) -> list[int]:
    return [hit.index for hit in cr.rerank(query, candidates, Dot, encoder=encoder)]


@pytest.mark.parametrize("query", [[RED, "gg b"], ["gg b", RED], cr.Item("q", "gg b", RED)])
def test_an_encoder_that_knows_both_gets_both_at_once(query: Any) -> None:
    assert order(query, Together()) == [1, 2, 0]


@pytest.mark.parametrize("query", [[RED, "gg"], cr.Item("q", "gg", RED)])
def test_of_another_encoder_the_parts_are_put_together(query: Any) -> None:
    scores = {hit.index: hit.score for hit in cr.rerank(query, CANDIDATES, Dot, encoder=Apart())}
    halves = [
        {hit.index: hit.score for hit in cr.rerank(part, CANDIDATES, Dot, encoder=Apart())}
        for part in (RED, "gg")
    ]
    sums = {n: halves[0][n] + halves[1][n] for n in range(3)}
    ratio = scores[0] / sums[0]
    assert scores == pytest.approx({n: ratio * value for n, value in sums.items()}, rel=1e-5)


def test_a_query_keeps_its_own_id() -> None:
    queries: list[Any] = [cr.Item("mine", "r", RED), [BLUE, "g"], "b"]
    found = cr.rerank_many(queries, [CANDIDATES] * 3, Dot, encoder=Together())
    assert list(found) == ["mine", "1", "2"]
    assert [found[id][0].id for id in found] == ["mine/0", "1/1", "2/2"]


def test_several_pictures_are_put_together_also_where_both_are_known() -> None:
    assert order([RED, GREEN, "g"], Together())[0] == 1


def test_candidates_of_both_for_an_encoder_that_knows_them() -> None:
    both = [cr.Item(str(n), "r", each) for n, each in enumerate(CANDIDATES)]
    assert order("r", Together(), both)[0] == 0
    with pytest.raises(InputError, match=r"ambiguous for the encoder 'apart'.*'vista'"):
        order("r", Apart(), both)


def test_candidates_of_mixed_kinds() -> None:
    with pytest.raises(InputError, match=r"mix image, image\+text; give candidates of one kind"):
        order("r", Together(), [RED, cr.Item("b", "r", GREEN)])
    with pytest.raises(InputError, match="mix image, text"):
        order("r", Apart(), [RED, "g"])


def test_encoding_both(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    RED.save(path)
    items = [cr.Item("a", "g", path)]
    made = cr.encode(Together(), items)
    assert made.modality == "image+text"
    assert (tuple(made["text"]), tuple(made["path"])) == (("g",), (str(path),))
    with pytest.raises(InputError, match=r"of modality image\+text; say modality="):
        cr.encode(Apart(), items)
    with pytest.raises(InputError, match="'apart' knows pictures or texts, not both at once"):
        cr.encode(Apart(), items, "image+text")
    with pytest.raises(InputError, match="has no text"):
        cr.encode(Together(), [cr.Item("a", image=RED)], "image+text")
    with pytest.raises(InputError, match="has no image"):
        cr.encode(Together(), ["g"], "image+text")
    gallery = cr.encode(Together(), CANDIDATES)
    assert cr.search(made, gallery, depth=1).index.tolist() == [[1]]
