"""Clients from PyPI: each ranks what standard input holds and prints what it read.

Runs in an environment without crossrank; a client that is not installed there is left out.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

TOP = 3
TOKEN = "secret"
Ranked = list[tuple[int, float]]
Ask = Callable[[str, str, list[Any]], Ranked]
OPEN = {"llama-index xinference"}
"""Clients that cannot send a token."""

CLIENTS: dict[str, tuple[str, bool, Ask]] = {}


def client(name: str, package: str, pictures: bool = False) -> Callable[[Ask], Ask]:
    """Register a client, with the package it needs, and whether it lets pictures through."""

    def keep(ask: Ask) -> Ask:
        CLIENTS[name] = package, pictures, ask
        return ask

    return keep


@client("cohere ClientV2", "cohere")
def cohere_v2(url: str, query: str, documents: list[Any]) -> Ranked:
    """Ask /v2/rerank."""
    import cohere

    found = cohere.ClientV2("secret", base_url=url).rerank(
        model="any", query=query, documents=documents, top_n=TOP
    )
    return [(each.index, each.relevance_score) for each in found.results]


@client("cohere Client", "cohere", pictures=True)
def cohere_v1(url: str, query: str, documents: list[Any]) -> Ranked:
    """Ask /v1/rerank, documents returned."""
    import cohere

    found = cohere.Client("secret", base_url=url).rerank(
        model="any", query=query, documents=documents, top_n=TOP, return_documents=True
    )
    for each in found.results:
        if isinstance(documents[each.index], str):
            assert each.document.text == documents[each.index]
    return [(each.index, each.relevance_score) for each in found.results]


@client("voyageai", "voyageai", pictures=True)
def voyage(url: str, query: str, documents: list[Any]) -> Ranked:
    """Ask /v1/rerank with top_k."""
    import voyageai

    asking = voyageai.Client(api_key=TOKEN, base_url=f"{url}/v1")
    found = asking.rerank(query, documents, model="any", top_k=TOP)
    assert found.total_tokens > 0
    return [(each.index, each.relevance_score) for each in found.results]


def _litellm(model: str, path: str) -> Ask:
    def ask(url: str, query: str, documents: list[Any]) -> Ranked:
        import litellm

        found = litellm.rerank(
            model=model,
            query=query,
            documents=documents,
            top_n=TOP,
            api_base=f"{url}{path}",
            api_key=TOKEN,
        )
        return [(each["index"], each["relevance_score"]) for each in found.results]

    return ask


for provider, path, pictures in (
    ("cohere", "", True),
    ("jina_ai", "/v1/rerank", True),
    ("hosted_vllm", "", True),
    ("infinity", "", True),
    ("huggingface", "", False),
    ("voyage", "/v1", True),
):
    client(f"litellm {provider}", "litellm", pictures)(_litellm(f"{provider}/any", path))


@client("litellm voyage without top_n", "litellm")
def litellm_voyage(url: str, query: str, documents: list[Any]) -> Ranked:
    """Ask /v1/rerank without top_k: Voyage's field is there all the same."""
    import litellm

    found = litellm.rerank(
        model="voyage/any", query=query, documents=documents, api_base=f"{url}/v1", api_key=TOKEN
    )
    return [(each["index"], each["relevance_score"]) for each in found.results][:TOP]


@client("litellm together_ai", "litellm", pictures=True)
def litellm_together(url: str, query: str, documents: list[Any]) -> Ranked:
    """Ask /v1/rerank; the address comes from the environment, where the version heeds it."""
    return _litellm("together_ai/any", "/v1")(url, query, documents)


@client("xinference-client", "xinference_client", pictures=True)
def xinference(url: str, query: str, documents: list[Any]) -> Ranked:
    """Ask for the model, then /v1/rerank."""
    from xinference_client import RESTfulClient

    model = RESTfulClient(url, api_key=TOKEN).get_model("any")
    found = model.rerank(documents, query, top_n=TOP, return_documents=True)
    return [(each["index"], each["relevance_score"]) for each in found["results"]]


@client("langchain-cohere", "langchain_cohere")
def langchain(url: str, query: str, documents: list[Any]) -> Ranked:
    """Compress documents by /v2/rerank, as cohere 5 asks it."""
    from langchain_cohere import CohereRerank

    made = CohereRerank(model="any", cohere_api_key=TOKEN, base_url=url, top_n=TOP)
    found = made.rerank(documents, query, top_n=TOP)
    return [(each["index"], each["relevance_score"]) for each in found]


def _llama_index(made: Any, query: str, documents: list[Any]) -> Ranked:
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    nodes = [
        NodeWithScore(node=TextNode(text=text, id_=str(place)))
        for place, text in enumerate(documents)
    ]
    found = made.postprocess_nodes(nodes, query_bundle=QueryBundle(query))
    return [(int(each.node.node_id), each.score) for each in found]


@client("llama-index jina", "llama_index.postprocessor.jinaai_rerank")
def llama_jina(url: str, query: str, documents: list[Any]) -> Ranked:
    """Postprocess nodes by /v1/rerank."""
    from llama_index.postprocessor.jinaai_rerank import JinaRerank

    made = JinaRerank(top_n=TOP, model="any", api_key=TOKEN, base_url=f"{url}/v1")
    return _llama_index(made, query, documents)


@client("llama-index cohere", "llama_index.postprocessor.cohere_rerank")
def llama_cohere(url: str, query: str, documents: list[Any]) -> Ranked:
    """Postprocess nodes by Cohere's client."""
    from llama_index.postprocessor.cohere_rerank import CohereRerank

    made = CohereRerank(top_n=TOP, model="any", api_key=TOKEN, base_url=url)
    return _llama_index(made, query, documents)


@client("llama-index tei", "llama_index.postprocessor.tei_rerank")
def llama_tei(url: str, query: str, documents: list[Any]) -> Ranked:
    """Postprocess nodes by TEI's /rerank."""
    from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

    made = TextEmbeddingInference(top_n=TOP, base_url=url, auth_token=f"Bearer {TOKEN}")
    return _llama_index(made, query, documents)


@client("llama-index xinference", "llama_index.postprocessor.xinference_rerank")
def llama_xinference(url: str, query: str, documents: list[Any]) -> Ranked:
    """Postprocess nodes by Xinference's /v1/rerank; it has no token."""
    from llama_index.postprocessor.xinference_rerank import XinferenceRerank

    return _llama_index(XinferenceRerank(top_n=TOP, model="any", base_url=url), query, documents)


def _haystack(made: Any, query: str, documents: list[Any]) -> Ranked:
    from haystack import Document

    found = made.run(
        query=query,
        documents=[Document(content=text, id=str(place)) for place, text in enumerate(documents)],
    )
    return [(int(each.id), each.score) for each in found["documents"]]


@client("haystack jina", "haystack_integrations.components.rankers.jina")
def haystack_jina(url: str, query: str, documents: list[Any]) -> Ranked:
    """Rank documents by a full address."""
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.jina import JinaRanker

    made = JinaRanker(
        model="any", api_key=Secret.from_token(TOKEN), top_k=TOP, base_url=f"{url}/v1/rerank"
    )
    return _haystack(made, query, documents)


@client("haystack cohere", "haystack_integrations.components.rankers.cohere")
def haystack_cohere(url: str, query: str, documents: list[Any]) -> Ranked:
    """Rank documents by Cohere's client."""
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.cohere import CohereRanker

    made = CohereRanker(model="any", api_key=Secret.from_token(TOKEN), top_k=TOP, api_base_url=url)
    return _haystack(made, query, documents)


@client("haystack huggingface-api", "haystack_integrations.components.rankers.huggingface_api")
def haystack_tei(url: str, query: str, documents: list[Any]) -> Ranked:
    """Rank documents by TEI's /rerank."""
    from haystack.utils import Secret
    from haystack_integrations.components.rankers.huggingface_api import (
        HuggingFaceTEIRanker,
    )

    made = HuggingFaceTEIRanker(url=url, top_k=TOP, token=Secret.from_token(TOKEN))
    return _haystack(made, query, documents)


def installed(package: str) -> bool:
    """Tell whether a package can be found, without importing more than its parents."""
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def main() -> None:
    """Ask by every client that is here."""
    given = json.load(sys.stdin)
    os.environ |= {"LITELLM_LOG": "ERROR", "TOGETHERAI_API_KEY": TOKEN, "NO_PROXY": "127.0.0.1"}
    results: dict[str, Any] = {}
    for name, (package, pictures, ask) in CLIENTS.items():
        if not installed(package) or given["closed"] is (name in OPEN):
            continue
        own: dict[str, Any] = {}
        try:
            own["texts"] = ask(given["url"], given["query"], given["texts"])
            if pictures:
                own["images"] = ask(given["url"], given["query"], given["images"])
        except Exception as error:
            own["error"] = f"{type(error).__name__}: {error}"[:300]
            traceback.print_exc()
        results[name] = own
    print(json.dumps(results))


if __name__ == "__main__":
    main()
