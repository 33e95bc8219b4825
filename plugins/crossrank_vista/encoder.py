"""The encoder ``vista``: one embedding of a text, a picture, or both together."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import crossrank as cr
from crossrank.plugin.encoding import CutTexts, Once, pictures_of
from crossrank.plugin.files import file_digest
from crossrank.plugin.torch_device import check_device
from crossrank_vista.parameters import VistaParameters

if TYPE_CHECKING:
    from crossrank_vista.parts import Parts

logger = logging.getLogger(__name__)


class VistaEncoder(cr.Encoder):
    """Embeddings of texts, pictures and pictures with texts, to be compared with each other.

    The model is loaded when the first batch is encoded.  Encoding is thread-safe.

    Parameters
    ----------
    **params
        See `VistaParameters`.

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
        self._cut = CutTexts("vista", logger)
        self._loaded = Once(lambda: _load(self.params))
        self._patch_count = Once(self._count_patches)
        self._tokenizing = threading.Lock()

    @property
    def cut_texts(self) -> int:
        """How many texts were longer than the model allows beside a picture, and were cut."""
        return self._cut.count

    def fingerprint(self) -> str:
        """Return a digest of what decides the embeddings: the content of files, a release's name.

        The device does not matter.
        """
        params = self.params
        source = [_content(params.model), _content(params.text), params.dtype]
        return cr.fingerprint([type(self).__qualname__, source])

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, cr.Feature]:
        """Return the features of some items; see `crossrank.Encoder.encode_batch`."""
        from crossrank_vista.forward import cut, encode

        parts = self._loaded()
        texts = [str(item.text) if "text" in modality else "" for item in items]
        pictures = list(pictures_of("vista", items)) if "image" in modality else None
        with self._tokenizing:
            tokens, count = cut(parts, texts, 0 if pictures is None else self._patch_count())
        self._cut.add(count, len(items))
        made = encode(parts, tokens, pictures) if features else None
        return {} if made is None else {"embedding": made}

    def _count_patches(self) -> int:
        from crossrank_vista.forward import patch_count

        return patch_count(self._loaded())


def _load(params: VistaParameters) -> Parts:
    from crossrank_vista.parts import package, read_parts

    torch = package("torch")
    check_device("vista", params.device)
    dtype = getattr(torch, params.dtype)
    folder = Path(str(params.model)).expanduser()
    if folder.is_dir():
        return read_parts(folder, params.device, dtype)
    from crossrank_vista.released import read_release

    return read_release(params, params.device, dtype)


def _content(source: str | Path | None) -> Any:
    if source is None:
        return None
    path = Path(source).expanduser()
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.is_file())
        return [[str(each.relative_to(path)), file_digest("vista", each)] for each in files]
    return file_digest("vista", path) if path.is_file() else str(source)
