"""The encoder ``vista``: one embedding of a text, a picture, or both together."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import crossrank as cr
from crossrank.errors import InputError, ParameterError
from crossrank_clip.source import first_line
from crossrank_vista.parameters import VistaParameters

if TYPE_CHECKING:
    from PIL import Image

    from crossrank.plugin import Feature
    from crossrank_vista.parts import Parts

logger = logging.getLogger(__name__)


class VistaEncoder(cr.Encoder):
    """Embeddings of texts, pictures and pictures with texts, to be compared with each other.

    The model is loaded when the first batch is encoded.  Encoding is thread-safe.

    Parameters
    ----------
    **params
        See `VistaParameters`.

    Attributes
    ----------
    cut_texts : int
        How many texts were longer than the model allows beside a picture, and were cut.

    References
    ----------
    Zhou et al., "VISTA: Visualized Text Embedding for Universal Multi-Modal Retrieval", ACL 2024.

    Examples
    --------
    >>> queries = [cr.Item("q", image=picture, text="but at night")]
    >>> cr.encode("vista", queries, "image+text")  # doctest: +SKIP
    """

    info: ClassVar[cr.EncoderInfo] = cr.EncoderInfo(
        name="vista",
        summary="texts, pictures and pictures with texts in one space (VISTA, BGE-Visualized)",
        features={
            "image": ("embedding",),
            "text": ("embedding",),
            "image+text": ("embedding",),
        },
        default_features=("embedding",),
        paper="Zhou et al., ACL 2024",
        extra="vista",
    )
    Parameters: ClassVar[type] = VistaParameters
    params: VistaParameters

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.cut_texts = 0
        self._parts: Parts | None = None
        self._patch_count = 0
        self._lock = threading.Lock()

    def fingerprint(self) -> str:
        """Return a digest of what decides the embeddings: the content of files, a release's name.

        The device does not matter.
        """
        params = self.params
        source = [_content(params.model), _content(params.text), params.dtype]
        return cr.fingerprint([type(self).__qualname__, source])

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Feature]:
        """Return the features of some items; see `crossrank.Encoder.encode_batch`."""
        from crossrank_vista.forward import cut, encode

        parts = self._loaded()
        texts = [str(item.text) if "text" in modality else "" for item in items]
        pictures = [_open(item) for item in items] if "image" in modality else None
        with self._lock:
            tokens, count = cut(parts, texts, self._patch_count if pictures is not None else 0)
            level = logging.INFO if self.cut_texts else logging.WARNING
            self.cut_texts += count
        if count:
            logger.log(
                level,
                "vista: %d of %d texts are longer than the model can read, and were cut "
                "(%d so far)",
                count,
                len(items),
                self.cut_texts,
            )
        made = encode(parts, tokens, pictures) if features else None
        return {} if made is None else {"embedding": made}

    def _loaded(self) -> Parts:
        with self._lock:
            if self._parts is None:
                self._parts = _load(self.params)
                from crossrank_vista.forward import patch_count

                self._patch_count = patch_count(self._parts)
            return self._parts


def _load(params: VistaParameters) -> Parts:
    from crossrank_vista.parts import package, read_parts

    torch = package("torch")
    try:
        torch.empty(0, device=params.device)
    except Exception as error:  # RuntimeError, AssertionError or NotImplementedError, by backend
        raise ParameterError(
            f"vista: torch cannot use the device {params.device!r} here: {first_line(error)}; "
            "give device='cpu'"
        ) from error
    dtype = getattr(torch, params.dtype)
    folder = Path(str(params.model)).expanduser()
    if folder.is_dir():
        return read_parts(folder, params.device, dtype)
    from crossrank_vista.released import read_release

    return read_release(params, params.device, dtype)


def _open(item: cr.Item) -> Image.Image:
    if item.image is None:
        raise InputError(f"vista: the item {item.id!r} has no image")
    return cr.open_image(item.image)


def _content(source: str | Path | None) -> Any:
    if source is None:
        return None
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.is_file())
        return [[str(each.relative_to(path)), _digest(each)] for each in files]
    return _digest(path) if path.is_file() else str(source)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()
