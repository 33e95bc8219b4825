"""What the items of a collection say and show, by modality, or who lacks it."""

from pathlib import Path

import pytest

import crossrank as cr
from crossrank.errors import InputError, MissingFeatureError
from crossrank.plugin.contents import Content, content_features, contents_of


def test_a_modality_decides_what_is_read() -> None:
    ids, words, paths = ["a", "b"], ["one", "two"], ["a.jpg", "b.jpg"]
    texts = cr.Collection(ids, "text", text=words)
    images = cr.Collection(ids, "image", path=paths, text=words)
    both = cr.Collection(ids, "image+text", path=paths, text=words)
    assert contents_of("mine", texts, [1]) == [Content("two")]
    assert contents_of("mine", images, [1, 0]) == [
        Content(None, Path("b.jpg")),
        Content(None, Path("a.jpg")),
    ]
    assert contents_of("mine", both, [0]) == [Content("one", Path("a.jpg"))]
    assert content_features(both) == ("path", "text")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(MissingFeatureError, match="mine: the image collection has no 'path'"):
        contents_of("mine", cr.Collection(["a"], "image", text=["one"]), [0])
    for nothing in ("", "  ", None):
        with pytest.raises(InputError, match="mine: item 'a' has no text"):
            contents_of("mine", cr.Collection(["a"], "text", text=[nothing]), [0])
