"""The encoder ``tiles`` over a base whose cells say where they look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import InputError, MissingFeatureError, ParameterError
from crossrank.testing import check_encoder
from crossrank_adamatch.grids import grid_of_boxes
from crossrank_adamatch.tiles import TilesEncoder, cut, join
from toys.adamatch import cell_boxes, unit


class Mean(cr.Encoder):
    """Two rows of three cells, each the unit mean of its colours."""

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="mean",
        summary="",
        features={
            "image": ("embedding", "tokens", "token_boxes", "regions", "boxes", "size"),
            "text": ("embedding", "tokens", "token_text", "words"),
        },
    )
    batch_size = 2

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        if modality == "text":
            lengths = [max(1, len(str(item.text).split())) for item in items]
            rows = np.ones((sum(lengths), 3), np.float32) / np.sqrt(3).astype(np.float32)
            said = {
                "embedding": rows[: len(items)],
                "tokens": cr.Ragged(rows, lengths),
                "words": cr.Ragged(rows, lengths),
                "token_text": [["w"] * length for length in lengths],
            }
            return {name: said[name] for name in features}
        pictures = [cr.open_image(item.image) for item in items]  # type: ignore[arg-type]
        cells = [
            np.asarray(each.resize((3, 2), Image.Resampling.BOX), np.float32).reshape(6, 3) + 1
            for each in pictures
        ]
        boxes = cr.Ragged.from_list([cell_boxes(2, 3)] * len(items))
        seen = {
            "embedding": unit(np.stack([each.mean(axis=0) for each in cells])),
            "tokens": cr.Ragged.from_list([unit(each) for each in cells]),
            "regions": cr.Ragged.from_list(cells),
            "token_boxes": boxes,
            "boxes": boxes,
            "size": np.array([each.size for each in pictures], np.int64),
        }
        return {name: seen[name] for name in features}


@pytest.mark.parametrize("check", check_encoder(TilesEncoder, encoder=Mean(), side=20))
def test_promises(check: Any) -> None:
    check()


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Twelve by four plain fields, every one of another colour."""
    fields = np.random.default_rng(0).integers(0, 255, (4, 12, 3), np.uint8)
    path = tmp_path / "scene.png"
    Image.fromarray(fields).resize((120, 40), Image.Resampling.NEAREST).save(path)
    return path


def test_cells_of_all_tiles_join_to_one_grid_in_their_places(scene: Path) -> None:
    made = cr.encode(
        TilesEncoder(encoder=Mean(), side=30),
        [scene],
        features=("tokens", "token_boxes", "regions", "embedding", "size"),
    )
    assert grid_of_boxes(made["token_boxes"][0]) == (4, 12)
    np.testing.assert_allclose(made["token_boxes"][0], cell_boxes(4, 12), atol=1e-6)
    fields = np.asarray(Image.open(scene), np.float32)[5::10, 5::10].reshape(-1, 3) + 1
    np.testing.assert_array_equal(made["regions"][0], fields)
    plain = cr.encode(Mean(), [scene], features=("embedding", "size"))
    np.testing.assert_array_equal(made["embedding"], plain["embedding"])
    assert made["size"].tolist() == [[120, 40]]


def test_windows_lie_across_the_borders_of_tiles(scene: Path) -> None:
    made = cr.encode(TilesEncoder(encoder=Mean(), side=30), [scene])
    across = made["tokens"][0].reshape(4, 12, 3)[1:3, 2:4].sum(axis=(0, 1), keepdims=False)
    words = unit(across[None].astype(np.float32))
    texts = cr.Collection(["t"], "text", tokens=cr.Ragged(words, [1]))
    pipeline = cr.Pipeline(cr.Stage("adamatch", params={"sizes": [2]}))
    ((evidence,),) = pipeline.explain(texts, made, "t", made.ids).values()
    assert evidence.score == pytest.approx(1.0, abs=1e-5)
    assert evidence.links[0].candidate_box == pytest.approx((2 / 12, 1 / 4, 4 / 12, 3 / 4))


def test_tiles_are_as_equal_as_pixels_allow_and_not_too_many() -> None:
    tiles = cut((100, 30), 40, 8)
    assert tiles == [[(0, 0, 33, 30), (33, 0, 67, 30), (67, 0, 100, 30)]]
    assert len(cut((10_000, 30), 40, 8)[0]) == 8
    assert cut((5, 5), 512, 8) == [[(0, 0, 5, 5)]]


def test_joining_is_that_of_a_loop() -> None:
    tiles = [100 * tile + np.arange(6)[:, None] for tile in range(4)]
    found = join(tiles, (2, 2), (2, 3)).ravel().tolist()
    expected = [
        100 * (2 * (row // 2) + column // 3) + 3 * (row % 2) + column % 3
        for row in range(4)
        for column in range(6)
    ]
    assert found == expected


class Scattered(Mean):
    """Cells that lie anywhere."""

    def encode_batch(self, items: Any, modality: str, features: Any) -> Any:
        found = dict(super().encode_batch(items, modality, features))
        if "token_boxes" in found:
            boxes = np.random.default_rng(0).uniform(size=(6 * len(items), 4)).astype(np.float32)
            found["token_boxes"] = cr.Ragged(boxes, [6] * len(items))
        return found


class Blind(cr.Encoder):
    """Pictures without tokens."""

    info = cr.EncoderInfo(name="blind", summary="", features={"image": ("embedding",)})

    def encode_batch(self, items: Any, modality: str, features: Any) -> Any:
        raise NotImplementedError


def test_what_has_no_grid_is_refused(scene: Path) -> None:
    with pytest.raises(ParameterError, match="tiles"):
        TilesEncoder(encoder=Blind())
    with pytest.raises(InputError, match="no grid"):
        cr.encode(TilesEncoder(encoder=Scattered(), side=30), [scene])
    with pytest.raises(MissingFeatureError, match=r"words|labels"):
        cr.encode(TilesEncoder(encoder=Mean()), [scene], features=("labels",))
    for params in ({"side": 0}, {"most": 0}, {"encoder": 3}, {"encoder": ""}):
        with pytest.raises(ParameterError, match="tiles"):
            TilesEncoder(**params)


def test_fingerprints_tell_how_pictures_are_cut() -> None:
    made = [TilesEncoder(encoder=Mean(), side=side) for side in (20, 20, 30)]
    one, same, other = (each.fingerprint() for each in made)
    assert one == same != other
