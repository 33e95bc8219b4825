"""What stages saw in the pairs of one query, and pictures of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossrank._items.collection import Collection
from crossrank._items.images import open_image
from crossrank._items.provenance import may_show
from crossrank._lists.evidence import Evidence
from crossrank.errors import InputError, UnknownIdError, missing_package, nearest
from crossrank.plugin.parts import own_tokens
from crossrank.report._heat import Box, word_maps
from crossrank.report._pictures import not_shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture with what one part of the text finds in it.

    `heat` is ``[rows, columns]`` over the part `extent` of the picture, NaN where nothing lies,
    None where there is no map; the boxes are where the best place lies.
    """

    title: str
    heat: NDArray[np.float64] | None = None
    extent: Box = WHOLE
    boxes: tuple[Box, ...] = ()


class Explanation(Mapping[str, Sequence[Evidence]]):
    """Per stage what speaks for each candidate of one query, with pictures of it.

    Parameters
    ----------
    evidence
        By the stage's name.
    queries, gallery
        What was compared.
    """

    __slots__ = ("_evidence", "_gallery", "_queries")

    def __init__(
        self,
        evidence: Mapping[str, Sequence[Evidence]],
        queries: Collection,
        gallery: Collection,
    ) -> None:
        self._evidence = dict(evidence)
        self._queries = queries
        self._gallery = gallery

    def __getitem__(self, stage: str) -> Sequence[Evidence]:
        return self._evidence[stage]

    def __iter__(self) -> Iterator[str]:
        return iter(self._evidence)

    def __len__(self) -> int:
        return len(self._evidence)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]  # equal by content

    def __repr__(self) -> str:
        pairs = max(map(len, self._evidence.values()), default=0)
        return f"Explanation({pairs} pairs by {', '.join(self._evidence) or 'no stage'})"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {stage: [each.to_dict() for each in found] for stage, found in self.items()}

    def plot(self, stage: str | None = None, words: int = 8) -> Figure:
        """Draw every candidate in a row: its picture, and a heat map for each word.

        Where a picture is asked for texts, it stands in every row with the words of the text.  A
        map shows how well each patch fits the word, all maps of a figure on one scale; a frame is
        the best place.  Stages that link words to boxes without tokens get the frames alone.

        Parameters
        ----------
        stage
            Which one; the first by default.
        words
            How many words of a pair at most: those with the greatest weights, in the text's order.

        Returns
        -------
        matplotlib.figure.Figure
            Which notebooks show, and ``savefig`` writes.

        Raises
        ------
        UnknownIdError
            If there is no such stage.
        InputError
            If there is nothing to draw: no pair, no picture, or a stage that does not explain.
        ImageError
            If a picture cannot be read.
        MissingPackageError
            If matplotlib is not installed.
        """
        try:
            from crossrank.report._figure import draw
        except ImportError as error:
            raise missing_package("matplotlib", "ablate", "explain(...).plot()") from error

        name = next(iter(self._evidence), "") if stage is None else stage
        if name not in self._evidence:
            raise UnknownIdError(f"plot: no stage is called {name!r}{nearest(name, self)}")
        found = self._evidence[name]
        if not any(each.links or each.maps for each in found):
            raise InputError(
                f"plot: the stage {name!r} says of no pair what it saw; give stage= one that does"
            )
        return draw([(self._picture(each), self._panels(each, words)) for each in found])

    def _picture(self, evidence: Evidence) -> Any:
        collection, id = self._pictured(evidence)
        if "path" not in collection:
            raise InputError(
                f"plot: the {collection.modality} collection has no 'path', which tells where its "
                "pictures lie; encode it from files, or give it with_features(path=[…])"
            )
        path = collection["path"][collection.row(id)]
        if not may_show(path):
            raise not_shown(path)
        return open_image(path)

    def _pictured(self, evidence: Evidence) -> tuple[Collection, str]:
        """Return the side that is pictures, and who of it: the candidates where both are."""
        if "image" in self._gallery.modality:
            return self._gallery, evidence.candidate_id
        if "image" in self._queries.modality:
            return self._queries, evidence.query_id
        raise InputError("plot: neither side is pictures; read the evidence itself")

    def _panels(self, evidence: Evidence, words: int) -> list[Panel]:
        """Return the picture as it is, and one panel a word."""
        pictured, _ = self._pictured(evidence)
        listed = pictured is self._gallery
        other = evidence.query_id if listed else evidence.candidate_id
        panels = [Panel(f"{evidence.candidate_id}\n{evidence.score:.3g}")]
        if evidence.maps:
            maps = [Panel(name, np.array(rows, np.float64)) for name, rows in evidence.maps]
            return panels + maps[:words]
        heats, extent = self._heats(evidence, other)
        strong = sorted(evidence.links, key=lambda link: -abs(link.weight))[:words]
        for number, link in enumerate(evidence.links):
            if link not in strong:
                continue
            word, box = (
                (link.query, link.candidate_box) if listed else (link.candidate, link.query_box)
            )
            heat = heats[number] if len(heats) == len(evidence.links) else None
            boxes = () if box is None else (box,)
            panels.append(Panel(f"{word} {link.weight:.2f}", heat, extent, boxes))
        return panels

    def _heats(self, evidence: Evidence, text: str) -> tuple[Sequence[Any], Box]:
        """Return a map per word, none where tokens are missing or of two kinds."""
        pictured, id = self._pictured(evidence)
        texts = self._queries if pictured is self._gallery else self._gallery
        if not all("tokens" in each for each in (texts, pictured)) or "token_boxes" not in pictured:
            return (), WHOLE
        word_row, row = texts.row(text), pictured.row(id)
        words = texts["tokens"][word_row][own_tokens(texts, word_row)]
        own = own_tokens(pictured, row)
        patches, boxes = pictured["tokens"][row][own], pictured["token_boxes"][row][own]
        if words.shape[1] != patches.shape[1] or len(patches) != len(boxes):
            return (), WHOLE
        maps = word_maps(words, patches, boxes)
        return list(maps.values), maps.extent


__all__ = ["Explanation", "Panel"]
