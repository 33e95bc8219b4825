from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

from PIL import Image

from crossrank.report import embed


def test_embedding_keeps_the_proportions_and_carries_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.linear_gradient("L").resize((800, 200)).save(path)
    picture = embed(path, longest=360)
    assert (picture.width, picture.height) == (360, 90)
    head, content = picture.uri.split(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(BytesIO(base64.b64decode(content))).size == (picture.width, picture.height)
