"""The drop-in call: what callers hand over, turned into lists, collections and a pipeline."""
