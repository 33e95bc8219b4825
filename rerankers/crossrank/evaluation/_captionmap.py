"""Which text belongs to which image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank._files.trec import Qrels
from crossrank._items.arrays import has_members
from crossrank.errors import InputError, OrientationError
from crossrank.evaluation._qrels import clusters_by_relevance


@dataclass(frozen=True, slots=True)
class CaptionMap:
    """Pairs of an image and a text that belong together.

    Parameters
    ----------
    images, texts
        ``[P]`` rows and columns of the pairs.
    n_images, n_texts
        How many there are of each.

    Notes
    -----
    Use `by_count`, `from_texts` or `from_images`.
    """

    images: NDArray[np.int64]
    texts: NDArray[np.int64]
    n_images: int
    n_texts: int

    @classmethod
    def by_count(cls, shape: tuple[int, int], captions_per_image: int) -> CaptionMap:
        """Texts 0 to 4 belong to image 0, texts 5 to 9 to image 1, and so on.

        Raises
        ------
        OrientationError
            If the matrix is transposed.
        InputError
            If it does not have `captions_per_image` texts per image.
        """
        n_images, n_texts = shape
        if n_images * captions_per_image != n_texts:
            if n_texts * captions_per_image == n_images:
                raise OrientationError(
                    f"evaluate_matrix: the matrix is {shape} for {captions_per_image} captions per "
                    "image; transpose it: images are the rows in both directions"
                )
            raise InputError(
                f"evaluate_matrix: {n_texts} texts are not {captions_per_image} for each of "
                f"{n_images} images; give text_to_image or image_to_texts"
            )
        texts = np.arange(n_texts, dtype=np.int64)
        return cls(texts // captions_per_image, texts, n_images, n_texts)

    @classmethod
    def from_texts(cls, shape: tuple[int, int], text_to_image: ArrayLike) -> CaptionMap:
        """Read the image of each text.

        Parameters
        ----------
        shape
            ``(n_images, n_texts)``.
        text_to_image
            ``[n_texts]`` whole numbers; −1 for a text without an image.
        """
        images = np.asarray(text_to_image)
        if images.shape != (shape[1],) or (images.size and images.dtype.kind not in "iu"):
            raise InputError(
                f"evaluate_matrix: text_to_image must hold a whole number for each of the "
                f"{shape[1]} texts; got shape {images.shape} of {images.dtype}"
            )
        images = images.astype(np.int64)
        wrong = (images < -1) | (images >= shape[0])
        if wrong.any():
            text = int(np.argmax(wrong))
            raise InputError(
                f"evaluate_matrix: text {text} belongs to image {images[text]}, but there are "
                f"{shape[0]} images"
            )
        texts = np.flatnonzero(images >= 0)
        return cls(images[texts], texts, *shape)

    @classmethod
    def from_images(
        cls, shape: tuple[int, int], image_to_texts: Sequence[Iterable[int]]
    ) -> CaptionMap:
        """Read the texts of each image, as many as there are, none twice."""
        given: list[Any] = list(image_to_texts) if has_members(image_to_texts) else [None]
        if not all(map(has_members, given)):
            raise InputError(
                "evaluate_matrix: image_to_texts are no lists; give one of texts for each image"
            )
        if len(given) != shape[0]:
            raise InputError(
                f"evaluate_matrix: image_to_texts has {len(given)} entries for {shape[0]} images"
            )
        members = [np.asarray(list(texts)) for texts in given]
        for image, texts in enumerate(members):
            fits = texts.size == 0 or (
                texts.ndim == 1
                and texts.dtype.kind in "iu"
                and texts.min() >= 0
                and texts.max() < shape[1]
                and len(np.unique(texts)) == len(texts)
            )
            if not fits:
                raise InputError(
                    f"evaluate_matrix: image {image} has the texts {texts.tolist()}; give distinct "
                    f"columns of the {shape[1]}"
                )
        counts = [len(texts) for texts in members]
        texts = np.concatenate([*members, np.zeros(0, np.int64)]).astype(np.int64)
        return cls(np.repeat(np.arange(shape[0]), counts), texts, *shape)

    def members(self, direction: str) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
        """Return ``[P]`` queries and candidates of the pairs, and how many there are of both."""
        if direction == "t2i":
            return self.texts, self.images, self.n_texts, self.n_images
        return self.images, self.texts, self.n_images, self.n_texts

    def relevant(self, direction: str) -> list[frozenset[int]]:
        """Return for each query the candidates that belong to it."""
        queries, candidates, count, _ = self.members(direction)
        order = np.argsort(queries, kind="stable")
        cuts = np.searchsorted(queries[order], np.arange(1, count))
        return [frozenset(part.tolist()) for part in np.split(candidates[order], cuts)][:count]

    def clusters(self, direction: str) -> NDArray[np.int64]:
        """Return ``[Q]`` a number per query: queries with the same candidates share one."""
        return clusters_by_relevance(self.relevant(direction))

    def qrels(
        self,
        direction: str,
        image_ids: Sequence[str] | None = None,
        text_ids: Sequence[str] | None = None,
    ) -> Qrels:
        """Return relevance judgements; ids are ``"0"``, ``"1"``, … by default."""
        images = [str(id) for id in (range(self.n_images) if image_ids is None else image_ids)]
        texts = [str(id) for id in (range(self.n_texts) if text_ids is None else text_ids)]
        names, gallery = (texts, images) if direction == "t2i" else (images, texts)
        return {
            query: {gallery[candidate]: 1 for candidate in sorted(candidates)}
            for query, candidates in zip(names, self.relevant(direction), strict=True)
        }
