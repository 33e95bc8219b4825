"""Importing open_clip, also where torchvision does not fit torch.

open_clip needs torchvision for its transforms, timm for its networks.  A torchvision built for
another torch (the wheel of PyPI beside a processor-only torch) fails while it describes operators
that its own library did not register: ``operator torchvision::nms does not exist``.  Nothing here
uses these operators, so an empty module stands in for their descriptions and the rest works.
"""

from __future__ import annotations

import logging
import sys
import threading
from importlib import import_module
from types import ModuleType
from typing import Any

from crossrank.errors import MissingPackageError, missing_package

logger = logging.getLogger(__name__)

STAND_IN = "torchvision._meta_registrations"
INSTALL_NAMES = {"open_clip": "open-clip-torch"}

_lock = threading.Lock()


def open_clip() -> Any:
    """Import open_clip and return the module, with a stand-in for a part of torchvision if need be.

    Raises
    ------
    MissingPackageError
        If open_clip or what it needs is not installed, or torchvision does not fit torch in a way
        that the stand-in does not mend.
    """
    return _fitting("open_clip")


def timm() -> Any:
    """Import timm, likewise."""
    return _fitting("timm")


def _fitting(name: str) -> Any:
    with _lock:
        try:
            return import_module(name)
        except ImportError as error:
            raise _missing(error) from error
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            return _with_stand_in(name, error)


def _with_stand_in(name: str, first: RuntimeError) -> Any:
    for each in list(sys.modules):  # what the failed import left half made
        if each.partition(".")[0] in ("open_clip", "timm", "torchvision"):
            del sys.modules[each]
    sys.modules[STAND_IN] = ModuleType(STAND_IN)
    logger.info("openclip: torchvision does not fit torch here (%s); going without its ops", first)
    try:
        return import_module(name)
    except ImportError as error:
        raise _missing(error) from error
    except Exception as error:
        del sys.modules[STAND_IN]
        raise MissingPackageError(
            f"the encoder 'openclip' needs a torchvision that fits torch, and this one does not "
            f"({first}); install the pair that https://pytorch.org names for your machine"
        ) from error


def _missing(error: ImportError) -> MissingPackageError:
    name = (error.name or "open_clip").partition(".")[0]
    return missing_package(INSTALL_NAMES.get(name, name), "openclip", "the encoder 'openclip'")
