"""Rows of published tables whose encoder is open_clip's, with a tiny network in place of theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import crossrank as cr
from crossrank_openclip import OpenClipEncoder
from crossrank_reproduce import read_table, reproduce
from crossrank_reproduce import run as running
from crossrank_reproduce.tables import Table
from toys import reproduce as toy
from toys.tiny_openclip import needs_open_clip

pytestmark = needs_open_clip


def test_mobileclips_row_is_a_search_by_its_embeddings(
    checkpoint: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = f"local-dir:{checkpoint('fastvit')}"

    def read(name: str) -> Table:
        table = read_table(name)
        rows = []
        for row in table.rows:
            params = {"model": model, "reparameterize": True}
            assert row.settings["encoder"]["params"]["reparameterize"] is True
            settings = {**row.settings, "encoder": {"name": "openclip", "params": params}}
            rows.append(replace(row, settings=settings))
        return replace(table, rows=tuple(rows))

    monkeypatch.setattr(running, "read_table", read)
    data = toy.build(tmp_path / "data")
    (found,) = {
        (each.direction, each.measure): each.ours
        for each in reproduce("mobileclip/flickr30k-s2", data).figures
        if each.direction == "t2i"
    }.values()
    captions = toy.captions(data, "flickr30k")
    encoder = OpenClipEncoder(model=model)  # not merged: the same figures
    folder = data / "flickr30k" / "flickr30k-images"
    images = np.asarray(cr.encode(encoder, captions.image_items(folder))["embedding"], np.float64)
    texts = np.asarray(cr.encode(encoder, captions.text_items())["embedding"], np.float64)
    best = (texts @ images.T).argmax(axis=1)
    assert found == pytest.approx(100 * float(np.mean(best == captions.text_to_image)))
