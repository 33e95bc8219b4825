"""Clients of other rerankers, as they are published, against a running server.

``make test-clients`` makes the environments; they conflict with one another and with ours.
"""
