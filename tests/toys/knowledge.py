"""A grid encoder and a picture whose cells are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import crossrank as cr


class ColourGrid(cr.Encoder):
    """Mean colours of a 4×4 grid."""

    info = cr.EncoderInfo(
        name="colourgrid",
        summary="mean colours",
        features={"image": ("regions", "token_boxes")},
        default_features=("regions",),
    )

    def encode_batch(self, items: Any, modality: str, features: Any) -> dict[str, Any]:
        regions = [
            np.asarray(cr.open_image(item.image).resize((4, 4), Image.Resampling.BOX), np.float32)
            for item in items
        ]
        edges = np.arange(4) / 4
        boxes = np.array([(x, y, x + 0.25, y + 0.25) for y in edges for x in edges], np.float32)
        made = {
            "regions": cr.Ragged.from_list([each.reshape(16, 3) for each in regions]),
            "token_boxes": cr.Ragged.from_list([boxes] * len(items)),
        }
        return {name: made[name] for name in features}


def half_red(path: Path) -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, :40, 0] = 200
    picture[:, 40:, 2] = 100
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path.with_suffix(".png"))
    path.with_suffix(".png").rename(path)
