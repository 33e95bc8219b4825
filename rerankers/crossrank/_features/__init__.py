"""Features of loose items, kept by content: in memory, and on disk for other processes."""
