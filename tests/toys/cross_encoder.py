"""A toy `CrossEncoder` of sentence-transformers over LLaVA, with roles in its template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toys.tiny_tokenizers import transformers
from toys.tiny_vlm import save_llava

PART = (
    "{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}"
    "{% endfor %}"
)
QUERY_FIRST = (
    "Judge. {% for m in messages %}{{ m.role }}: " + PART + "\n{% endfor %}"
    "{% if add_generation_prompt %}answer:{% endif %}"
)
QUERY_LAST = (
    "Judge. {% for m in messages if m.role == 'document' %}document: " + PART + "\n{% endfor %}"
    "{% for m in messages if m.role == 'query' %}query: " + PART + "\n{% endfor %}"
    "{% if add_generation_prompt %}answer:{% endif %}"
)


def save_cross_encoder(folder: Path, template: str | None = None, **sizes: Any) -> None:
    """Save a model that answers yes or no."""
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.cross_encoder.modules import LogitScore

    inner = folder.parent / f"{folder.name}-inner"
    save_llava(inner, **sizes)
    tokenizer = transformers.AutoTokenizer.from_pretrained(inner)
    tokenizer.chat_template = QUERY_FIRST if template is None else template
    tokenizer.save_pretrained(inner)
    side = sizes.get("vision", {}).get("image_size", 32)
    pictures = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    transformers.LlavaProcessor(
        pictures,
        tokenizer,
        patch_size=sizes.get("vision", {}).get("patch_size", 8),
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(inner)
    transformer: Any = Transformer(str(inner), transformer_task="any-to-any")
    ids = tokenizer.convert_tokens_to_ids(["yes", "no"])
    modules: list[Any] = [transformer, LogitScore(*ids)]
    CrossEncoder(modules=modules, device="cpu").save_pretrained(str(folder))
