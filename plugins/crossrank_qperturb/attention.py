"""Where the queries of a model look, without and with a perturbation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from crossrank.errors import InputError
from crossrank_qperturb.cross_attention import Change
from crossrank_qperturb.interventions import intervening
from crossrank_qperturb.matrices import Perturbation
from crossrank_qperturb.models import cross_attentions


@torch.no_grad()
def attention_maps(
    model: Any,
    image_embeds: Tensor,
    run: Callable[[], Any],
    perturbation: Perturbation | None = None,
) -> dict[int, Tensor]:
    """Return how much each query attends to each token of the vision output.

    Parameters
    ----------
    model
        See `crossrank_qperturb.cross_attentions`.
    image_embeds
        ``[B, N, D]`` what the cross-attentions get.
    run
        Runs the model once over this vision output.
    perturbation
        Of these B images; None for the model as it is.

    Returns
    -------
    dict
        Per number of a layer that ran ``[B, heads, queries, N]`` float32, float64 from a model of
        that type; each row sums to 1.

    Raises
    ------
    InputError
        If `run` did not run the model, or ran it on a batch of another size.
    """
    layers = cross_attentions(model)
    queries: dict[int, Tensor] = {}

    def watching(number: int) -> Change:
        change = None if perturbation is None else perturbation.change(number)

        def watch(given: Tensor) -> Tensor:
            changed = given if change is None else change(given)
            queries[number] = _widened(changed)
            return changed

        return watch

    with intervening(layers, {number: watching(number) for number in layers}):
        run()
    if {len(each) for each in queries.values()} != {len(image_embeds)}:
        raise InputError(
            f"attention_maps: run() must run the model on the batch of {len(image_embeds)} images, "
            f"but it ran on {sorted({len(each) for each in queries.values()})}"
        )
    return {
        number: _attention(queries[number], _widened(layers[number].keys(image_embeds)))
        for number in sorted(queries)
    }


def _attention(queries: Tensor, keys: Tensor) -> Tensor:
    logits: Tensor = queries @ keys.mT / queries.shape[-1] ** 0.5
    return logits.softmax(dim=-1)


def _widened(values: Tensor) -> Tensor:
    """Widen half types; what a model in float64 knows is left as it is."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
