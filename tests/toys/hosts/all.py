"""All drivers."""

from toys.hosts.chroma import Chroma
from toys.hosts.cross_encoder import CrossEncoder
from toys.hosts.driver import Driver
from toys.hosts.dspy import DSPy
from toys.hosts.haystack import Haystack
from toys.hosts.lancedb import LanceDB
from toys.hosts.langchain import LangChain
from toys.hosts.llamaindex import LlamaIndex
from toys.hosts.pyterrier import PyTerrier
from toys.hosts.qdrant import Qdrant
from toys.hosts.rerankers import Rerankers
from toys.hosts.search_engines import Elasticsearch, OpenSearch, Vespa
from toys.hosts.txtai import Txtai
from toys.hosts.weaviate import Weaviate

DRIVERS: tuple[Driver, ...] = (
    *(CrossEncoder(), LangChain(), LlamaIndex(), Haystack()),
    *(Chroma(), Qdrant(), LanceDB(), PyTerrier()),
    *(Weaviate(), Elasticsearch(), OpenSearch(), Vespa()),
    *(Rerankers(), Txtai(), DSPy()),
)
