"""The encoder ``multivector``."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import InputError, PluginError
from crossrank.plugin.encoding import Once, picture_of, pictures_of
from crossrank.plugin.unit_rows import unit
from crossrank_multivector.checkpoint import Loaded, load_checkpoint, source_of
from crossrank_multivector.parameters import MultiVectorParameters

if TYPE_CHECKING:
    from crossrank_multivector.reading import Read


class MultiVectorEncoder(cr.Encoder):
    """All token vectors of a ColPali-like model, for MaxSim: ``filip`` with ``aggregate="sum"``.

    Pictures are read as documents and texts as queries, by the model's own processor; every token
    counts, the prompt's too, so that the scores are those of ``processor.score_retrieval``.
    ``token_roles`` tells the item's own tokens (1) from the prompt's (0).  ``embedding`` is the
    mean of the tokens, of unit length: enough for a first search.

    The model is loaded when the first batch is encoded.  Encoding is thread-safe.

    Parameters
    ----------
    **params
        See `crossrank_multivector.parameters.MultiVectorParameters`.

    References
    ----------
    Faysse et al., "ColPali: Efficient Document Retrieval with Vision Language Models", ICLR 2025.

    Examples
    --------
    >>> gallery = cr.encode("multivector", paths, model="/models/colqwen2")  # doctest: +SKIP
    """

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="multivector",
        summary="all token vectors of ColPali, ColQwen2 or ColModernVBert checkpoints",
        features={
            "image": ("embedding", "tokens", "token_boxes", "token_roles", "size"),
            "text": ("embedding", "tokens", "token_text", "token_roles"),
        },
        default_features=("embedding", "tokens", "token_boxes", "token_text", "token_roles"),
        paper="Faysse et al., ColPali, ICLR 2025",
        extra="multivector",
    )
    Parameters: ClassVar[type] = MultiVectorParameters
    params: MultiVectorParameters
    batch_size = 8

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._loaded = Once(lambda: load_checkpoint(self.params))
        self._reading = threading.Lock()  # a processor is not thread-safe

    def fingerprint(self) -> str:
        """Return a digest of what decides the features: checkpoint, limits and float type."""
        params = self.params
        source = source_of(params).identity()
        limits = [params.min_pixels, params.max_pixels]
        return cr.fingerprint([type(self).__qualname__, source, limits, params.dtype])

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, cr.Feature]:
        """Return the features of some items; see `crossrank.Encoder.encode_batch`."""
        loaded = self._loaded()
        with self._reading:
            read = [_read(loaded, item, modality) for item in items]
        sizes = (
            [each.size for each in pictures_of("multivector", items)] if "size" in features else []
        )
        vectors = embed(loaded, read) if {"embedding", "tokens"} & set(features) else []
        lengths = [len(each.roles) for each in read]
        made: dict[str, cr.Feature] = {}
        for name in features:
            if name == "tokens":
                made[name] = cr.Ragged(np.concatenate(vectors), lengths)
            elif name == "embedding":
                means = [each.mean(axis=0, dtype=np.float64) for each in vectors]
                made[name] = unit(np.stack(means)).astype(np.float32)
            elif name == "token_boxes":
                made[name] = cr.Ragged(
                    np.concatenate([each.boxes for each in read if each.boxes is not None]), lengths
                )
            elif name == "token_roles":
                made[name] = cr.Ragged(np.concatenate([each.roles for each in read]), lengths)
            elif name == "token_text":
                made[name] = [each.texts for each in read]
            else:
                made[name] = np.array(sizes, np.int64)
        return made


def embed(loaded: Loaded, read: Sequence[Read]) -> list[NDArray[np.float32]]:
    """Return the token vectors ``[L_n, D]`` of some items, unit rows.

    Only items whose inputs have the same shapes go through the model together: nothing is padded,
    so that it does not matter which items share a batch.
    """
    import torch

    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, each in enumerate(read):
        # a grid is no shape, and two of them may have as many patches
        grid = each.inputs.get("image_grid_thw")
        shapes = tuple((name, tuple(tensor.shape)) for name, tensor in each.inputs.items())
        key = (shapes, None if grid is None else tuple(grid.flatten().tolist()))
        groups.setdefault(key, []).append(place)
    found: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(read)
    for places in groups.values():
        names = read[places[0]].inputs
        inputs = {
            name: torch.cat([read[place].inputs[name] for place in places]).to(loaded.model.device)
            for name in names
        }
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(loaded.model.dtype)
        with torch.inference_mode():
            vectors = torch.nn.functional.normalize(
                loaded.model(**inputs).embeddings.float(), dim=-1
            )
        for place, row in zip(places, vectors.cpu().numpy(), strict=True):
            if not np.isfinite(row).all():
                raise PluginError(
                    f"multivector: the model's vectors are not finite in {loaded.model.dtype}; "
                    "give dtype='bfloat16' or 'float32'"
                )
            found[place] = row
    return found


def _read(loaded: Loaded, item: cr.Item, modality: str) -> Read:
    from crossrank_multivector.reading import read_picture, read_text

    if modality == "image":
        return read_picture(loaded, picture_of("multivector", item))
    if item.text is None or not item.text.strip():
        raise InputError(f"multivector: the item {item.id!r} has no text")
    return read_text(loaded, item.text)
