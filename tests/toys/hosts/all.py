"""All drivers."""

from toys.hosts.cross_encoder import CrossEncoder
from toys.hosts.driver import Driver
from toys.hosts.haystack import Haystack
from toys.hosts.langchain import LangChain
from toys.hosts.llamaindex import LlamaIndex

DRIVERS: tuple[Driver, ...] = (CrossEncoder(), LangChain(), LlamaIndex(), Haystack())
