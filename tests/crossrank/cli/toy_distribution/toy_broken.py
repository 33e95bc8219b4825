"""A plugin whose package is half installed."""

raise ImportError("no module named 'half_installed'\n(second line)")
