"""OpenSearch: a response of ``client.search`` in, a response with better hits out.

    best = rerank_response("a dog in the water", client.search(index="photos", body=…))

The response has the form of Elasticsearch's, of which OpenSearch was forked.
"""

from crossrank_hosts.elasticsearch import arerank_response, rerank_response

__all__ = ["arerank_response", "rerank_response"]
