"""The promises of a reranker, a few related ones a module: its public functions, each of a case."""
