"""Changing the queries of a model for a while, by one at a time, and leaving no trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from crossrank.errors import InputError
from crossrank_qperturb.cross_attention import Change, CrossAttention


@dataclass(slots=True)
class _Turn:
    """Whose turn it is to change a model."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    thread: int | None = None


_TURNS: WeakKeyDictionary[nn.Module, _Turn] = WeakKeyDictionary()
_TURNS_LOCK = threading.Lock()


@contextmanager
def intervening(
    layers: Mapping[int, CrossAttention], changes: Mapping[int, Change]
) -> Iterator[None]:
    """Change the queries of some layers until the block is left, by whatever way.

    The model is locked meanwhile: another thread that wants to change it waits.  What other
    threads run through the model is not changed.

    Parameters
    ----------
    layers
        The cross-attentions of one model.
    changes
        What to do with the queries, per layer.

    Raises
    ------
    InputError
        If this thread is already changing the model.
    """
    with _turn_at(next(iter(layers.values())).module), ExitStack() as hooks:
        for number, change in changes.items():
            hooks.enter_context(_removed(layers[number], _here(change)))
        yield


@contextmanager
def _turn_at(module: nn.Module) -> Iterator[None]:
    with _TURNS_LOCK:
        turn = _TURNS.setdefault(module, _Turn())
    if turn.thread == threading.get_ident():
        raise InputError(
            "qperturb: the model is perturbed already; leave the first `with` block, or give all "
            "boxes to one perturbation"
        )
    with turn.lock:
        turn.thread = threading.get_ident()
        try:
            yield
        finally:
            turn.thread = None


@contextmanager
def _removed(layer: CrossAttention, change: Change) -> Iterator[None]:
    handle = layer.intervene(change)
    try:
        yield
    finally:
        handle.remove()


def _here(change: Change) -> Change:
    """Let a change apply in this thread alone."""
    thread = threading.get_ident()

    def here(queries: Tensor) -> Tensor:
        return change(queries) if threading.get_ident() == thread else queries

    return here
