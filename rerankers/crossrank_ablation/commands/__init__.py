"""The commands ``ablate``, ``compare`` and ``cache``."""
