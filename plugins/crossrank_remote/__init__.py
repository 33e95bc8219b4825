"""Servers as rerankers: the stage ``remote``, and `Client`, the drop-in call over HTTP."""

from typing import TYPE_CHECKING

from crossrank.plugin.hookspecs import gives
from crossrank.plugin.optional import lazy_names, needs

if TYPE_CHECKING:
    from crossrank_remote.client import Client
    from crossrank_remote.reranker import RemoteReranker

__all__ = ["Client", "RemoteReranker"]

_needs = needs("the client of a server", "remote", "httpx")

__getattr__ = lazy_names(__name__, guard=_needs)
crossrank_reranker = gives("crossrank_remote.reranker:RemoteReranker")
