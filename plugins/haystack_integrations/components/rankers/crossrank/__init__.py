"""`CrossrankRanker` where Haystack looks for components of others."""

from crossrank_hosts.haystack import CrossrankRanker

__all__ = ["CrossrankRanker"]
