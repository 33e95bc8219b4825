"""A module per reranker; each is an entry point of its own."""
