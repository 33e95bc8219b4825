"""Encoding: items in, a collection out, in batches, with progress, resumed after a kill."""
