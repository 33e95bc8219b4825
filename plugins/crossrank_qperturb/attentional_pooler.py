"""The attentional pooler of CoCa, as open_clip builds it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from crossrank_qperturb.cross_attention import Change, CrossAttention


class PooledQueries(CrossAttention):
    """Learned queries that pool an image through ``torch.nn.MultiheadAttention``.

    Parameters
    ----------
    pooler
        Has `query`, `attn` (the MultiheadAttention) and `ln_k`, which normalises the image first.
    """

    def __init__(self, pooler: Any) -> None:
        self.module: Any = pooler.attn
        self._normalise: Any = pooler.ln_k
        self.heads = int(self.module.num_heads)
        self.head_size = int(self.module.head_dim)
        self.width = int(self.module.kdim)

    def keys(self, image_embeds: Tensor) -> Tensor:
        """See `CrossAttention.keys`."""
        _, weight, _ = _projections(self.module)
        normalised = self._normalise(image_embeds.to(weight.device, weight.dtype))
        return self.split(functional.linear(normalised, weight, _bias(self.module, 1)))

    def intervene(self, change: Change) -> RemovableHandle:
        """See `CrossAttention.intervene`.

        The module projects its queries deep inside, where no hook reaches.  So they are projected
        here and attend once more, in a module that takes them as they are and shares everything
        else; images whose queries did not change keep the output of the module itself.
        """

        def hook(attention: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            given, rest, options = _query_of(args, kwargs)
            batched = given if attention.batch_first else given.transpose(0, 1)
            weight, _, _ = _projections(attention)
            queries = self.split(functional.linear(batched, weight, _bias(attention, 0)))
            changed = change(queries)
            if changed is queries:
                return None
            merged = self.merge(changed)
            again = _with_projected_queries(attention)(
                merged if attention.batch_first else merged.transpose(0, 1), *rest, **options
            )
            rows = (changed != queries).flatten(1).any(dim=1)
            pooled = rows[:, None, None] if attention.batch_first else rows[:, None]
            outputs = torch.where(pooled, again[0], output[0])
            if output[1] is None:
                return outputs, None
            attended = rows.reshape(-1, *[1] * (output[1].dim() - 1))
            return outputs, torch.where(attended, again[1], output[1])

        handle: RemovableHandle = self.module.register_forward_hook(hook, with_kwargs=True)
        return handle


def _query_of(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Tensor, tuple[Any, ...], dict[str, Any]]:
    """Take the query out of the arguments of a MultiheadAttention."""
    if args:
        return args[0], args[1:], kwargs
    options = dict(kwargs)
    return options.pop("query"), (), options


def _projections(attention: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return the weights that project queries, keys and values."""
    if attention.in_proj_weight is not None:
        query, key, value = attention.in_proj_weight.chunk(3)
        return query, key, value
    return attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight


def _bias(attention: Any, which: int) -> Tensor | None:
    """Return the bias of the queries (0), keys (1) or values (2)."""
    bias: Tensor | None = attention.in_proj_bias
    return None if bias is None else bias.chunk(3)[which]


def _with_projected_queries(attention: Any) -> nn.MultiheadAttention:
    """Return the same attention, but for queries that are projected already."""
    twin: Any = nn.MultiheadAttention(
        attention.embed_dim,
        attention.num_heads,
        dropout=attention.dropout,
        bias=attention.in_proj_bias is not None,
        add_zero_attn=attention.add_zero_attn,
        kdim=attention.kdim,
        vdim=attention.vdim,
        batch_first=attention.batch_first,
        device="meta",
    )
    query, key, value = _projections(attention)
    bias = attention.in_proj_bias
    if bias is not None:
        bias = torch.cat([torch.zeros_like(bias[: len(query)]), bias[len(query) :]])
    shared = {
        "in_proj_weight": None,
        "q_proj_weight": torch.eye(len(query), dtype=query.dtype, device=query.device),
        "k_proj_weight": key,
        "v_proj_weight": value,
        "in_proj_bias": bias,
        "bias_k": attention.bias_k,
        "bias_v": attention.bias_v,
    }
    twin._parameters.clear()
    for name, tensor in shared.items():
        setattr(twin, name, tensor)
    twin._qkv_same_embed_dim = False
    twin.out_proj = attention.out_proj
    twin.training = attention.training  # train() would tell the shared out_proj too
    return twin  # type: ignore[no-any-return]
