"""The parameters of the encoder ``openclip``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossrank.errors import StoreError
from crossrank.plugin.files import file_digest
from crossrank.plugin.parameters import Check, boolean, check, float_type, instance_of, none, text

PROMPT = Check(
    lambda value: isinstance(value, str) and value.count("{}") == 1, "a text with one {} in it"
)
PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


@dataclass(frozen=True, slots=True)
class OpenClipParameters:
    """Which model with which weights, and where it computes.

    Parameters
    ----------
    model
        A name of ``open_clip.list_models()`` (``"MobileCLIP-S1"``), ``local-dir:DIR`` for a
        folder with an ``open_clip_config.json``, or ``hf-hub:NAME`` for one of the hub.
    pretrained
        With a name: one of its tags (``"datacompdr"``), or a file with a state dict.
        ``local-dir:`` and ``hf-hub:`` bring their own weights.
    quick_gelu
        Whether the network was trained with QuickGELU (OpenAI's weights and what is fine-tuned from
        them) or GELU.  Weights load into either without an error, and give other numbers in the
        wrong one.  A tag or config tells; for a file it must be said unless all tags of the model
        agree.
    preprocess
        How pictures are prepared, where neither config nor tags tell, or to overrule them: a tag of
        the model, or a mapping with ``mean``, ``std`` and, if it is not bicubic and shortest,
        ``interpolation`` and ``resize_mode``.
    reparameterize
        Merge the parallel branches of MobileCLIP's training-time blocks: faster, the same features.
        Needed for a file that holds merged weights.
    prompt
        What a text is put into, ``{}`` standing for it: ``"a satellite photo of {}"``.
    device
        Where torch computes: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    dtype
        The float type of the weights, ``"float32"``, ``"bfloat16"`` or ``"float16"``.  Features
        are float32 whatever it is; only in float32 do they not depend on the batch.

    Raises
    ------
    ParameterError
        If a value is of the wrong type or not among those above.
    """

    model: str
    pretrained: str | Path | None = None
    quick_gelu: bool | None = None
    preprocess: str | Mapping[str, Any] | None = None
    reparameterize: bool = False
    prompt: str = "{}"
    device: str = "cpu"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if isinstance(self.pretrained, Path):
            object.__setattr__(self, "pretrained", str(self.pretrained))
        check(
            "openclip",
            self,
            model=text,
            pretrained=text | none,
            quick_gelu=boolean | none,
            preprocess=instance_of(str, Mapping, give="a tag or a mapping") | none,
            reparameterize=boolean,
            prompt=PROMPT,
            device=text,
            dtype=float_type,
        )

    @property
    def folder(self) -> Path | None:
        """The folder that ``local-dir:`` names."""
        kind, found, rest = self.model.partition("local-dir:")
        return Path(rest).expanduser() if found and not kind else None

    @property
    def hub_name(self) -> str | None:
        """What ``hf-hub:`` names."""
        kind, found, rest = self.model.partition("hf-hub:")
        return rest if found and not kind else None


READ = (".bin", ".json", ".model", ".pt", ".pth", ".safetensors", ".txt")


def identity(params: OpenClipParameters) -> list[Any]:
    """Return name and tag, or the content of the file or folder that stands for them."""
    folder = params.folder
    if folder is not None:
        if not folder.is_dir():
            raise StoreError(f"openclip: {folder} is no folder; give the one of a checkpoint")
        files = sorted(path for path in folder.iterdir() if path.suffix in READ)
        return [[path.name, file_digest("openclip", path)] for path in files]
    file = Path(str(params.pretrained)).expanduser()
    if params.pretrained is not None and file.is_file():
        return [params.model, file_digest("openclip", file)]
    return [params.model, params.pretrained]
