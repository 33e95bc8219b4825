"""All drivers."""

from toys.hosts.chroma import Chroma
from toys.hosts.cross_encoder import CrossEncoder
from toys.hosts.driver import Driver
from toys.hosts.haystack import Haystack
from toys.hosts.lancedb import LanceDB
from toys.hosts.langchain import LangChain
from toys.hosts.llamaindex import LlamaIndex
from toys.hosts.pyterrier import PyTerrier
from toys.hosts.qdrant import Qdrant

DRIVERS: tuple[Driver, ...] = (
    *(CrossEncoder(), LangChain(), LlamaIndex(), Haystack()),
    *(Chroma(), Qdrant(), LanceDB(), PyTerrier()),
)
