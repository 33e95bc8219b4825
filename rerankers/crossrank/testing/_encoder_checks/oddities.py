"""Few items, many items, and odd ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from crossrank._encode.call import encode
from crossrank._items.item import Item
from crossrank.errors import CrossrankError, PluginError
from crossrank.testing._check import require
from crossrank.testing._differences import require_same_features
from crossrank.testing._encoder_case import EncoderCase
from crossrank.testing._pictures import make_picture, picture_file

ODD_TEXTS = ("a", "?!", "über naïve 東京 🙂", "two  blanks\tand\nlines", "word " * 2000)


def any_number_of_items_gives_the_same_types(case: EncoderCase) -> None:
    """Expect the same features of the same types for no item, one, and many."""
    kinds = {name: type(feature) for name, feature in case.batch().items()}
    for name, feature in case.batch(case.items()[:1]).items():
        require(
            type(feature) is kinds[name],
            f"{name!r} is a {type(feature).__name__} for one {case.modality} and a "
            f"{kinds[name].__name__} for several; return the same type",
        )
    none = encode(case.built(), [], case.modality, case.features)
    require(len(none) == 0, f"encoding no {case.modality} gave {none!r}")


def odd_items_are_encoded_or_refused(case: EncoderCase) -> None:
    """Expect finite features, or a `CrossrankError`, of bare punctuation or a single pixel."""
    encode(case.built(), case.items()[:1], case.modality, case.features)  # this one is not odd
    for item in ODD[case.modality]():
        try:
            encode(case.built(), [item], case.modality, case.features)
        except PluginError as error:
            raise AssertionError(
                f"the {case.modality} {item.id!r} breaks it: {error}; encode it, or raise another "
                "error out of crossrank.errors that says why not"
            ) from error
        except CrossrankError:
            continue


def pictures_may_be_files_or_objects(case: EncoderCase) -> None:
    """Expect the same of a file and of an open image, with transparency or without."""
    expected = case.entries([Item("picture", image=picture_file(0))])
    for mode in ("RGB", "RGBA"):
        require_same_features(
            expected,
            case.entries([Item("picture", image=make_picture(0).convert(mode))]),
            f"as an open {mode} image instead of a file",
            "open pictures with crossrank.open_image",
        )


def _odd_texts() -> Sequence[Item]:
    return [Item(text[:12], text) for text in ODD_TEXTS]


def _odd_pictures() -> Sequence[Item]:
    grey = Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30) % 251)
    return [
        Item("of one pixel", image=Image.new("RGB", (1, 1), "red")),
        Item("of 1 x 300 pixels", image=Image.new("RGB", (1, 300), "blue")),
        Item("in grey", image=grey),
        Item("with a palette", image=make_picture(1).convert("P")),
        Item("in CMYK", image=make_picture(2).convert("CMYK")),
    ]


def _odd_pairs() -> Sequence[Item]:
    texts = [Item(text[:12], text, make_picture(3)) for text in ODD_TEXTS]
    return [*texts, *(Item(each.id, "a dog", each.image) for each in _odd_pictures())]


ODD = {"image": _odd_pictures, "text": _odd_texts, "image+text": _odd_pairs}
OF_PICTURES = (pictures_may_be_files_or_objects,)
