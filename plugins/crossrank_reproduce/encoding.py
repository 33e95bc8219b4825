"""Encoding for a row: kept in the output folder, so that a run that was killed goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import crossrank as cr
from crossrank.plugin.encoders import shared_encoder, with_device
from crossrank_reproduce.tables import Places, Row


@dataclass(frozen=True, slots=True)
class Encoding:
    """Where a run computes, and what it keeps.

    Parameters
    ----------
    places
        The folders that a table's names stand for.
    out
        Where features are kept; None keeps them in memory.
    device
        Where torch computes.
    progress
        True for bars on standard error.
    """

    places: Places
    out: Path | None = None
    device: str = "cpu"
    progress: bool = False

    @property
    def cache_folder(self) -> Path | None:
        """Where rerankers may keep what they prepared."""
        return None if self.out is None else self.out / "cache"

    def encode(
        self,
        row: Row,
        items: Sequence[cr.Item],
        what: str,
        features: Sequence[str] = ("embedding",),
    ) -> cr.Collection:
        """Encode items by the encoder of a row.

        Parameters
        ----------
        row, items
            Which encoder, and what.
        what
            What the items are called among the row's features.
        features
            Which ones, where the row names none.
        """
        settings = self.places.fill(row.settings["encoder"])
        params = with_device(settings["name"], settings.get("params", {}), self.device)
        out = None
        if self.out is not None:
            out = self.out / "features" / f"{row.table}-{row.id}-{what}"
            out.parent.mkdir(parents=True, exist_ok=True)
        return cr.encode(
            shared_encoder(settings["name"], params),
            items,
            features=settings.get("features", features),
            out=out,
            reuse=out is not None,
            progress=self.progress or None,
        )
