"""FACTUAL's parser, a language model that writes tuples, from a folder of its checkpoint."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from crossrank.errors import StoreError
from crossrank.plugin.files import file_digest
from crossrank.plugin.optional import required
from crossrank_graphs.graph import Graph
from crossrank_graphs.tuples import graph_of_tuples

PROMPT = "Generate Scene Graph: "
TUPLE = re.compile(r"\(\s*[^(),]+\s*(?:,\s*[^(),]+\s*,\s*[^(),]+\s*)?\)")

log = logging.getLogger(__name__)


class FactualParser:
    """A `GraphParser` after Li et al., FACTUAL, Findings of ACL 2023.

    Runs a T5 checkpoint such as ``lizhuang144/flan-t5-base-VG-factual-sg`` from a local folder;
    nothing is fetched.  Its graphs have no spans: `edits` cannot change them.

    Parameters
    ----------
    folder
        With ``config.json``, the tokenizer's files and safetensors.
    batch_size
        Texts per call of the model.
    device
        Where it computes.
    longest
        Word pieces that a graph may take; what is cut off is left out.

    Raises
    ------
    MissingPackageError
        On first use, if torch or transformers is not installed.
    StoreError
        On first use, if the folder holds no such checkpoint.
    """

    def __init__(
        self, folder: str | Path, batch_size: int = 32, device: str = "cpu", longest: int = 200
    ) -> None:
        self.folder = Path(folder)
        self.batch_size, self.device, self.longest = batch_size, device, longest
        self._parts: tuple[Any, Any] | None = None

    def __getstate__(self) -> tuple[Path, int, str, int]:
        return self.folder, self.batch_size, self.device, self.longest

    def __setstate__(self, state: tuple[Path, int, str, int]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def graphs(self, texts: Iterable[str]) -> Iterator[Graph]:
        """Yield the graph of each text, in order; what is no tuple in the answer is left out."""
        remaining = iter(texts)
        while batch := list(islice(remaining, self.batch_size)):
            for text, answer in zip(batch, self.answers(batch), strict=True):
                tuples = TUPLE.findall(answer)
                if not tuples and text.strip():
                    log.info("graphs: FACTUAL's parser finds nothing in %r", text)
                yield graph_of_tuples(text, " , ".join(tuples))

    def answers(self, texts: Sequence[str]) -> list[str]:
        """Return what the model writes for some texts."""
        tokenizer, model = self._loaded()
        asked = tokenizer(
            [PROMPT + text for text in texts], padding=True, truncation=True, return_tensors="pt"
        ).to(self.device)
        written = model.generate(**asked, max_new_tokens=self.longest, num_beams=1, do_sample=False)
        found: list[str] = tokenizer.batch_decode(written, skip_special_tokens=True)
        return found

    def fingerprint(self) -> str:
        """Return a digest of the checkpoint."""
        names = sorted(path for path in self.folder.glob("*.safetensors"))
        if not names:
            raise StoreError(f"graphs: {self.folder} holds no safetensors; {self._mend}")
        digests = [file_digest("graphs", path, self._mend) for path in names]
        return f"factual:{self.longest}:{':'.join(digests)}"

    _mend = "give the folder of a checkpoint such as flan-t5-base-VG-factual-sg"

    def _loaded(self) -> tuple[Any, Any]:
        if self._parts is None:
            required("torch", "factual", "FACTUAL's parser")
            transformers = required("transformers", "factual", "FACTUAL's parser")
            known = {"local_files_only": True, "trust_remote_code": False}
            try:
                tokenizer = transformers.AutoTokenizer.from_pretrained(str(self.folder), **known)
                model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
                    str(self.folder), use_safetensors=True, **known
                )
            except (OSError, ValueError) as error:
                said = str(error).strip().partition("\n")[0]
                raise StoreError(f"graphs: {self.folder}: {said}; {self._mend}") from error
            self._parts = tokenizer, model.eval().to(self.device)
        return self._parts
