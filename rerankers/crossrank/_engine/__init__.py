"""How a stage is run: blocks, threads or Ray, resumable on disk."""
