"""Models of the three shapes that Q-Perturbation knows, at toy size, and a naive Q-Former."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from toys.tiny_blip2 import IMAGE, PATCH, QUERIES, WIDTH, make_model

HIDDEN, HEADS, LAYERS, SIDE = 32, 4, 3, IMAGE // PATCH
HEAD_SIZE = HIDDEN // HEADS

Array = NDArray[np.float64]


def transformers_model(seed: int = 0) -> Any:
    """Return a random BLIP-2 with 4 × 4 patches and cross-attentions in the layers 0 and 2."""
    return make_model(seed=seed)


def vision_output(images: int = 3, seed: int = 0, tokens: int = SIDE**2 + 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, tokens, WIDTH, generator=generator)


@torch.no_grad()
def run_transformers(model: Any, image_embeds: Tensor) -> Tensor:
    """Return the output ``[B, n, H]`` of the queries."""
    queries = model.query_tokens.expand(len(image_embeds), -1, -1)
    output: Tensor = model.qformer(
        query_embeds=queries, encoder_hidden_states=image_embeds
    ).last_hidden_state
    return output


class _Holder(nn.Module):
    """A module that only holds others, by name."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


class _LavisSelfAttention(nn.Module):
    """BertSelfAttention as LAVIS lays it out: heads by view and permute."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_attention_heads, self.attention_head_size = HEADS, HEAD_SIZE
        self.query = nn.Linear(HIDDEN, HIDDEN)
        self.key = nn.Linear(width, HIDDEN)
        self.value = nn.Linear(width, HIDDEN)

    def transpose_for_scores(self, x: Tensor) -> Tensor:
        split: Tensor = x.view(*x.shape[:-1], HEADS, HEAD_SIZE)
        return split.permute(0, 2, 1, 3)

    def forward(self, hidden: Tensor, encoder_hidden_states: Tensor | None = None) -> Tensor:
        attended = hidden if encoder_hidden_states is None else encoder_hidden_states
        keys = self.transpose_for_scores(self.key(attended))
        values = self.transpose_for_scores(self.value(attended))
        queries = self.transpose_for_scores(self.query(hidden))
        scores = queries @ keys.transpose(-1, -2) / HEAD_SIZE**0.5
        context = scores.softmax(dim=-1) @ values
        merged: Tensor = context.permute(0, 2, 1, 3).contiguous().view(*hidden.shape)
        return merged


class _LavisOutput(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, HIDDEN)
        self.LayerNorm = nn.LayerNorm(HIDDEN, eps=1e-12)

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        output: Tensor = self.LayerNorm(self.dense(hidden) + residual)
        return output


class _LavisAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.self = _LavisSelfAttention(width)
        self.output = _LavisOutput(HIDDEN)

    def forward(self, hidden: Tensor, encoder_hidden_states: Tensor | None = None) -> Tensor:
        output: Tensor = self.output(self.self(hidden, encoder_hidden_states), hidden)
        return output


class _LavisLayer(nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.attention = _LavisAttention(HIDDEN)
        self.has_cross_attention = number % 2 == 0
        if self.has_cross_attention:
            self.crossattention = _LavisAttention(WIDTH)
        self.intermediate_query: Any = _Holder(dense=nn.Linear(HIDDEN, 48))
        self.output_query = _LavisOutput(48)

    def forward(self, hidden: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        hidden = self.attention(hidden)
        if self.has_cross_attention:
            hidden = self.crossattention(hidden, encoder_hidden_states)
        between = nn.functional.gelu(self.intermediate_query.dense(hidden))
        output: Tensor = self.output_query(between, hidden)
        return output


class _LavisBert(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embeddings: Any = _Holder(LayerNorm=nn.LayerNorm(HIDDEN, eps=1e-12))
        self.encoder: Any = _Holder(layer=nn.ModuleList(map(_LavisLayer, range(LAYERS))))

    def forward(self, query_embeds: Tensor, encoder_hidden_states: Tensor) -> SimpleNamespace:
        hidden = self.embeddings.LayerNorm(query_embeds)
        for layer in self.encoder.layer:
            hidden = layer(hidden, encoder_hidden_states)
        return SimpleNamespace(last_hidden_state=hidden)


class LavisModel(nn.Module):
    """What of a LAVIS Blip2Qformer the perturbation touches, under the names LAVIS has."""

    def __init__(self) -> None:
        super().__init__()
        self.query_tokens = nn.Parameter(torch.zeros(1, QUERIES, HIDDEN))
        self.Qformer = _Holder(bert=_LavisBert())
        self.ln_vision = nn.LayerNorm(WIDTH)


def lavis_model(twin: Any) -> Any:
    """Return a LAVIS-shaped model with the weights of a transformers model."""
    model: Any = LavisModel()
    state = {"query_tokens": twin.query_tokens}
    for name, weight in twin.qformer.state_dict().items():
        if ".intermediate." in name or (".output." in name and "attention" not in name):
            continue
        renamed = name.replace("attention.attention.", "attention.self.")
        renamed = renamed.replace("layernorm.", "embeddings.LayerNorm.")
        state[f"Qformer.bert.{renamed}"] = weight
    for name, weight in model.ln_vision.state_dict().items():
        state[f"ln_vision.{name}"] = weight
    model.load_state_dict(state)
    return model.eval()


@torch.no_grad()
def run_lavis(model: Any, image_embeds: Tensor) -> Tensor:
    """Return the output ``[B, n, H]`` of the queries."""
    queries = model.query_tokens.expand(len(image_embeds), -1, -1)
    output: Tensor = model.Qformer.bert(
        query_embeds=queries, encoder_hidden_states=image_embeds
    ).last_hidden_state
    return output


class AttentionalPooler(nn.Module):
    """CoCa's pooler in the shape that open_clip gives it."""

    def __init__(self, queries: int = 5, width: int = WIDTH, batch_first: bool = True) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(queries, HIDDEN))
        self.attn = nn.MultiheadAttention(
            HIDDEN, HEADS, kdim=width, vdim=width, batch_first=batch_first
        )
        self.ln_q = nn.LayerNorm(HIDDEN)
        self.ln_k = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        keys, queries = self.ln_k(image), self.ln_q(self.query)
        queries = queries.unsqueeze(0).expand(len(image), -1, -1)
        if self.attn.batch_first:
            pooled: Tensor = self.attn(queries, keys, keys, need_weights=False)[0]
            return pooled
        turned = keys.transpose(0, 1)
        pooled = self.attn(queries.transpose(0, 1), turned, turned, need_weights=False)[0]
        return pooled.transpose(0, 1)


def pooler(seed: int = 0, **options: Any) -> Any:
    torch.manual_seed(seed)
    module = AttentionalPooler(**options)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval()


def naive_qformer(model: Any, image_embeds: Tensor, matrices: dict[int, Array]) -> Array:
    """Run a transformers Q-Former in float64 loops, with ``Q' = Q + Q M`` in cross-attentions."""
    weights = {name: each.double().numpy() for name, each in model.qformer.state_dict().items()}
    start = model.query_tokens[0].double().detach().numpy()
    images = image_embeds.double().numpy()
    return np.stack(
        [
            _naive_image(weights, start, image, {n: m[row] for n, m in matrices.items()})
            for row, image in enumerate(images)
        ]
    )


def _naive_image(w: dict[str, Array], start: Array, image: Array, m: dict[int, Array]) -> Array:
    hidden = _norm(w, "layernorm", start)
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        hidden = _naive_attention(w, f"{layer}.attention", hidden, hidden, None)
        if number in m:
            hidden = _naive_attention(w, f"{layer}.crossattention", hidden, image, m[number])
        between = _linear(w, f"{layer}.intermediate_query.dense", hidden)
        gelu = torch.nn.functional.gelu(torch.from_numpy(between)).numpy()
        after = _linear(w, f"{layer}.output_query.dense", gelu)
        hidden = _norm(w, f"{layer}.output_query.LayerNorm", after + hidden)
    return hidden


def _naive_attention(
    w: dict[str, Array], name: str, hidden: Array, attended: Array, m: Array | None
) -> Array:
    queries = _linear(w, f"{name}.attention.query", hidden)
    keys = _linear(w, f"{name}.attention.key", attended)
    values = _linear(w, f"{name}.attention.value", attended)
    context = np.zeros_like(hidden)
    for head in range(HEADS):
        part = slice(head * HEAD_SIZE, (head + 1) * HEAD_SIZE)
        for row, query in enumerate(queries[:, part]):
            moved = query if m is None else query + query @ m[head]
            logits = np.array([moved @ key for key in keys[:, part]]) / np.sqrt(HEAD_SIZE)
            attention = np.exp(logits - logits.max())
            context[row, part] = attention / attention.sum() @ values[:, part]
    after = _linear(w, f"{name}.output.dense", context)
    return _norm(w, f"{name}.output.LayerNorm", after + hidden)


def _linear(w: dict[str, Array], name: str, x: Array) -> Array:
    product: Array = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
    return product


def _norm(w: dict[str, Array], name: str, x: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled: Array = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]
