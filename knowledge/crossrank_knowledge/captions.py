"""Words of a picture from its captions: supervision by whole pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossrank import fingerprint
from crossrank.errors import FormatError, InputError
from crossrank.plugin.files import read_json_lines
from crossrank_knowledge.annotations import AnnotatedImage
from crossrank_knowledge.concepts import Parser, SpacyParser


@dataclass(frozen=True, slots=True)
class CaptionWords:
    """Pictures labelled by the nouns of their captions and the adjectives of these.

    Each picture is one region, its label all its words, each once.

    Parameters
    ----------
    paths
        One per picture.
    words
        One list per picture; see `from_captions`.
    """

    paths: tuple[Path, ...]
    words: tuple[tuple[str, ...], ...]

    @classmethod
    def from_captions(
        cls,
        paths: Sequence[Path],
        captions: Sequence[Sequence[str]],
        parser: Parser | None = None,
    ) -> CaptionWords:
        """Parse the captions of each picture.

        Parameters
        ----------
        paths
            One per picture.
        captions
            The captions of each picture.
        parser
            spaCy's small English model by default.
        """
        if len(paths) != len(captions):
            raise InputError(f"CaptionWords: {len(paths)} pictures, captions of {len(captions)}")
        parse = SpacyParser() if parser is None else parser
        parsed = parse.phrases(caption for each in captions for caption in each)
        words = []
        for each in captions:
            phrases = [phrase for _ in each for phrase in next(parsed)]
            found = [word for noun, adjectives in phrases for word in (*adjectives, noun)]
            words.append(tuple(dict.fromkeys(found)))
        return cls(tuple(paths), tuple(words))

    @classmethod
    def read(cls, source: Path, images: Path, parser: Parser | None = None) -> CaptionWords:
        """Read a file with a picture a line: ``{"image": "a.jpg", "captions": ["a red flag"]}``.

        Parameters
        ----------
        source
            JSON lines; ``"filename"`` may stand for ``"image"``, other keys are left alone.
        images
            The folder of the pictures.
        parser
            See `from_captions`.

        Raises
        ------
        FormatError
            Naming the line that says something else.
        """
        paths: list[Path] = []
        captions: list[list[str]] = []
        for number, line in read_json_lines(source):
            given = line if isinstance(line, dict) else {}
            name: Any = given.get("image", given.get("filename"))
            texts: Any = given.get("captions")
            if not isinstance(name, str) or not _are_texts(texts):
                raise FormatError(
                    f'{source}, line {number}: give {{"image": "a.jpg", "captions": ["…"]}}'
                )
            paths.append(images / name)
            captions.append(texts)
        return cls.from_captions(paths, captions, parser)

    def __iter__(self) -> Iterator[AnnotatedImage]:
        """Yield each picture as one region."""
        for path, words in zip(self.paths, self.words, strict=True):
            yield AnnotatedImage(path.name, path, (" ".join(words),), (None,))

    def fingerprint(self) -> str:
        """Return a digest of paths and words."""
        return fingerprint(["caption words", self.paths, self.words])


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
