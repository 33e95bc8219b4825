"""Base matching: exact inner products, by numpy or faiss."""
