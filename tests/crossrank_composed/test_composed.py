"""Late fusion by hand, readers on the benchmarks' layouts, the protocol, the whole road."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import FormatError, MissingFeatureError, ParameterError, UnknownIdError
from crossrank.testing import check_encoder
from crossrank_composed import (
    Triplet,
    keep_members,
    leave_out,
    read_cirr,
    read_edits,
    read_fashioniq,
)
from crossrank_composed.encoder import ComposedEncoder, fuse


class Colours(cr.Encoder):
    """Mean colour of a picture; the letters r, g and b of a text; a token per word."""

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="colours",
        summary="colours",
        features={"image": ("embedding",), "text": ("embedding", "token_text")},
        default_features=("embedding",),
    )

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        rows = np.array([self.row(item, modality) for item in items], np.float32).reshape(-1, 3)
        made = {"embedding": rows / np.linalg.norm(rows, axis=1, keepdims=True)}
        words = {"token_text": [str(item.text).split() for item in items]}
        return {name: {**made, **words}[name] for name in features}

    def row(self, item: cr.Item, modality: str) -> Any:
        if modality == "text":
            return [str(item.text).count(letter) + 0.1 for letter in "rgb"]
        assert item.image is not None
        return np.asarray(cr.open_image(item.image), float).mean(axis=(0, 1)) / 255 + 0.1


class Blind(Colours):
    """Knows texts only."""

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="blind", summary="texts", features={"text": ("embedding",)}
    )


def test_fusing_is_a_weighted_sum_of_unit_length() -> None:
    rng = np.random.default_rng(0)
    pictures, texts = rng.normal(size=(2, 5, 4))
    for picture, text in ((0.35, 0.65), (1, 0), (0, 3)):
        found = fuse(pictures, texts, picture, text)
        for n in range(5):
            expected = [picture * p + text * t for p, t in zip(pictures[n], texts[n], strict=True)]
            length = sum(value**2 for value in expected) ** 0.5
            np.testing.assert_allclose(found[n], [v / length for v in expected], atol=1e-6)
    assert not fuse([[1.0, 0.0]], [[-1.0, 0.0]], 1, 1).any()


def test_the_encoder_fuses_what_its_base_gives() -> None:
    encoder = ComposedEncoder(encoder=Colours(), picture=1, text=3)
    item = cr.Item("q", "gg", Image.new("RGB", (2, 2), "red"))
    made = cr.encode(encoder, [item], features=("embedding", "token_text"))
    assert made.modality == "image+text"
    shown: Any = cr.encode(Colours(), [item], "image")["embedding"]
    said: Any = cr.encode(Colours(), [item], "text")["embedding"]
    np.testing.assert_allclose(made["embedding"], fuse(shown, said, 1, 3))
    assert [list(each) for each in made["token_text"]] == [["gg"]]
    for modality in ("image", "text"):
        alone: Any = cr.encode(encoder, [item], modality, ("embedding",))["embedding"]
        np.testing.assert_array_equal(alone, shown if modality == "image" else said)
    with pytest.raises(MissingFeatureError, match="'colours' gives no 'tokens' of texts"):
        cr.encode(encoder, [item], features=("tokens",))


def test_only_the_ratio_of_the_weights_matters() -> None:
    def digest(**params: Any) -> str:
        return ComposedEncoder(encoder=Colours(), **params).fingerprint()

    assert digest(picture=1, text=1) == digest(picture=0.5, text=0.5)
    assert digest(picture=1, text=2) != digest(picture=2, text=1)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"picture": -1}, "picture is -1; give a finite number of at least 0"),
        ({"text": float("nan")}, "text is nan"),
        ({"text": True}, "text is True"),
        ({"picture": 0, "text": 0}, "both 0"),
        ({"encoder": 3}, "encoder is 3"),
        ({"encoder": Blind()}, "'blind' gives no embedding of images"),
    ],
)
def test_a_wrong_parameter_is_refused_at_once(params: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        ComposedEncoder(**params)


def test_every_promise_of_an_encoder() -> None:
    broken = []
    for check in check_encoder(ComposedEncoder):
        try:
            check()
        except AssertionError as error:
            broken.append(f"{check.__name__}: {error}")
    assert not broken, "\n".join(broken)


def test_composed_ids_through_search_rerank_explain_and_evaluate(tmp_path: Path) -> None:
    """With lite: tokens of the edit look for patches, the embedding searches."""
    rng = np.random.default_rng(1)
    shown = [Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)) for _ in range(5)]
    gallery = cr.encode("composed", [cr.Item(f"i{n}", image=each) for n, each in enumerate(shown)])
    asked = [cr.Item(f"q{n}", "a dog on the grass", shown[n]) for n in range(2)]
    queries = cr.encode("composed", asked, out=tmp_path / "queries")
    triplets = [Triplet(f"q{n}", f"i{n}", "a dog on the grass", f"i{n + 1}") for n in range(2)]
    found = leave_out(cr.search(queries, gallery, depth=5), triplets, 4)
    pipeline = cr.Pipeline([cr.Stage("filip", fusion=cr.WeightedSum(0.5))])
    rankings = pipeline.rerank(found, queries, gallery)
    assert list(rankings) == ["q0", "q1"]
    for n in range(2):
        assert sorted(hit.id for hit in rankings[f"q{n}"]) == sorted(
            {f"i{m}" for m in range(5)} - {f"i{n}"}
        )
    measured = cr.evaluate(rankings, {each.id: each.target for each in triplets})
    assert measured.direction == "it2i"
    assert set(measured.rows) == {"base", "reranked"}
    best = rankings["q0"][0]
    assert best.base_score is not None
    (evidence,) = pipeline.explain(queries, gallery, "q0", [best.id])["filip"]
    assert (evidence.query_id, evidence.candidate_id) == ("q0", best.id)
    assert len(evidence.links) > 0


def candidates() -> cr.Candidates:
    return cr.Candidates.from_lists(
        [["a", "b", "c", "d"], ["d", "c", "b", "a"]],
        scores=[[4.0, 3.0, 2.0, 1.0]] * 2,
        query_ids=["p", "q"],
    )


def test_the_reference_is_left_out_and_subsets_are_kept() -> None:
    triplets = [Triplet("q", "d", "x", "b", ("a", "b")), Triplet("p", "b", "x", "d", ("c", "d"))]

    def ids(found: cr.Candidates) -> list[list[str]]:
        return [[found.candidate_ids[row] for row, _ in own] for own in found.to_lists()]

    assert ids(leave_out(candidates(), triplets, 2)) == [["a", "c"], ["c", "b"]]
    kept = keep_members(candidates(), triplets)
    assert ids(kept) == [["c", "d"], ["b", "a"]]
    qrels = {each.id: each.target for each in triplets}
    measured = cr.evaluate(kept, qrels, ["R@1", "R@2"], resamples=0)
    assert next(iter(measured.rows.values())) == {"R@1": 50.0, "R@2": 100.0}
    with pytest.raises(UnknownIdError, match="'p' is none of the triplets"):
        leave_out(candidates(), triplets[:1], 2)


def test_cirr(tmp_path: Path) -> None:
    record = {
        "pairid": 12063,
        "reference": "dev-244-0-img0",
        "target_hard": "dev-1028-1-img1",
        "target_soft": {"dev-1028-1-img1": 1.0},
        "caption": "Make the dog older",
        "img_set": {"id": 61, "members": ["dev-244-0-img0", "dev-1028-1-img1", "dev-954-0-img1"]},
    }
    path = tmp_path / "cap.rc2.val.json"
    path.write_text(json.dumps([record]), encoding="utf-8")
    (found,) = read_cirr(path)
    assert found == Triplet(
        "12063",
        "dev-244-0-img0",
        "Make the dog older",
        "dev-1028-1-img1",
        ("dev-1028-1-img1", "dev-954-0-img1"),
    )
    del record["target_hard"]
    path.write_text(json.dumps([record]), encoding="utf-8")
    assert read_cirr(path)[0].target == "", "the test split keeps its targets to itself"


def test_fashioniq(tmp_path: Path) -> None:
    path = tmp_path / "cap.dress.val.json"
    record = {"target": "B1", "candidate": "B0", "captions": ["is shorter.", "has no sleeves"]}
    path.write_text(json.dumps([record, record]), encoding="utf-8")
    found = read_fashioniq(path)
    assert found[1] == Triplet("q1", "B0", "is shorter and has no sleeves", "B1")


def test_edits(tmp_path: Path) -> None:
    path = tmp_path / "edits.jsonl"
    line = {"reference": "a.jpg", "edit": "at night", "target": "b.jpg"}
    path.write_text(json.dumps(line) + "\n\n", encoding="utf-8")
    assert read_edits(path) == [Triplet("q0", "a.jpg", "at night", "b.jpg")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("{}", "it is no list"),
        ("[3]", "record 0 is no composed query"),
        ('[{"pairid": 1, "reference": "a"}]', "record 0 .*'caption'"),
        ('[{"pairid": 1, "reference": "a", "caption": " "}]', "the text is ' '"),
        (
            json.dumps([{"pairid": 1, "reference": "a", "caption": "b"}] * 2),
            "record 1 has the id '1' of another one",
        ),
    ],
)
def test_files_that_are_not_one(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "cap.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=says):
        read_cirr(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be read"):
        read_cirr(tmp_path / "none.json")
