"""The promises of a reranker, a few related ones per module; each check is a function of a case."""
