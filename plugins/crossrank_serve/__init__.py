"""A rerank server that clients of Jina, Cohere, Voyage, TEI and vLLM talk to unchanged.

``crossrank serve`` starts it.  Inside, a request is a record whatever its dialect (`records`), its
texts and pictures are encoded once by content (`encoding`), requests that wait together are scored
together (`batching`), and every score is that of `crossrank.rerank` (`engine`).
"""
