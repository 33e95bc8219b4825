"""A pair scored as one would by hand: its prompt written out, the whole model, one pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from crossrank.plugin.contents import Content
from toys.tiny_colvision import settings_of
from toys.tiny_tokenizers import transformers

SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".'
)
INSTRUCTION = "Given a search query, retrieve relevant candidates that answer the query."
ASSERT = (
    "Assert the relevance of the previous image document to the following query, answer True or "
    "False. The query is: "
)


def written(content: Content, picture: str) -> str:
    return (picture if content.path else "") + (content.text or "")


def prompt(
    family: str, preset: str, query: Content, document: Content, instruction: str = INSTRUCTION
) -> str:
    """Return a prompt as the models' authors write it."""
    picture = "<image>\n" if family == "llava" else "<|vision_start|><|image_pad|><|vision_end|>"
    asked, said = written(query, picture), written(document, picture)
    if preset == "jina-m0":
        plain = picture.strip()
        return f"**Document**:\n{written(document, plain)}\n**Query**:\n{written(query, plain)}"
    if preset == "mono-qwen2":
        inner, system = f"{said}{ASSERT}{asked}", ""
    else:
        inner, system = f"<Instruct>: {instruction}<Query>:{asked}\n<Document>:{said}", SYSTEM
    if family == "llava":
        return (f"{system} " if system else "") + f"USER: {inner} ASSISTANT:"
    start = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    return f"{start}<|im_start|>user\n{inner}<|im_end|>\n<|im_start|>assistant\n"


class Oracle:
    """The real classes, loaded once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.family = str(settings_of(folder)["model_type"])
        self.model: Any = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.pictures = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")

    def inputs(self, text: str, paths: list[Path], append: tuple[int, ...] = ()) -> dict[str, Any]:
        """Return what the model takes of one prompt."""
        token = self.model.config.image_token_id
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) + list(append)
        given: dict[str, Any] = {}
        if paths:
            opened = [Image.open(path).convert("RGB") for path in paths]
            given = dict(self.pictures(opened, return_tensors="pt"))
            if self.family == "llava":
                counts = [16] * len(paths)
            else:
                counts = (given["image_grid_thw"].prod(dim=1) // 4).tolist()
            left = iter(counts)
            ids = [each for id in ids for each in ([id] * next(left) if id == token else [id])]
        found = {"input_ids": torch.tensor([ids]), **given}
        found["attention_mask"] = torch.ones_like(found["input_ids"])
        if self.family != "llava":
            found["mm_token_type_ids"] = (found["input_ids"] == token).int()
        return found

    def logits(self, text: str, paths: list[Path]) -> torch.Tensor:
        """Return the logits of the next token, float64."""
        with torch.inference_mode():
            found: torch.Tensor = self.model(**self.inputs(text, paths)).logits[0, -1]
        return found.double()

    def difference(self, text: str, paths: list[Path], yes: str, no: str) -> float:
        """Return the difference of the logits of two answers."""
        logits = self.logits(text, paths)
        ids = self.tokenizer.convert_tokens_to_ids([yes, no])
        return float(logits[ids[0]] - logits[ids[1]])


def sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))
