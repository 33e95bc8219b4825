"""All that a plugin is written with."""
