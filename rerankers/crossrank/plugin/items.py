"""Queries and candidates as the drop-in call takes them, read as items."""

from crossrank._items.item import ItemLike, as_item, as_parts

__all__ = ["ItemLike", "as_item", "as_parts"]
