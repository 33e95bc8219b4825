"""Which text belongs to which image, in both directions."""

from hypothesis import given
from hypothesis import strategies as st

from crossrank.evaluation import CaptionMap


def test_five_captions_per_image() -> None:
    pairs = CaptionMap.by_count((2, 10), 5)
    assert pairs.qrels("t2i") == {str(text): {str(text // 5): 1} for text in range(10)}
    assert pairs.qrels("i2t", ["a", "b"]) == {
        "a": dict.fromkeys("01234", 1),
        "b": dict.fromkeys("56789", 1),
    }
    assert pairs.clusters("t2i").tolist() == [0] * 5 + [1] * 5
    assert pairs.clusters("i2t").tolist() == [0, 1]


@given(st.lists(st.lists(st.integers(0, 5), unique=True), min_size=1, max_size=5))
def test_both_directions_hold_the_same_pairs(members: list[list[int]]) -> None:
    pairs = CaptionMap.from_images((len(members), 6), members)
    expected = {(str(image), str(text)) for image, texts in enumerate(members) for text in texts}
    t2i, i2t = pairs.qrels("t2i"), pairs.qrels("i2t")
    assert {(image, text) for text, images in t2i.items() for image in images} == expected
    assert {(image, text) for image, texts in i2t.items() for text in texts} == expected
    assert list(t2i) == [str(text) for text in range(6)]
    assert list(i2t) == [str(image) for image in range(len(members))]


def test_queries_without_a_relevant_item_do_not_share_a_cluster() -> None:
    pairs = CaptionMap.from_texts((3, 4), [1, -1, -1, 1])
    assert pairs.relevant("t2i") == [{1}, set(), set(), {1}]
    assert pairs.clusters("t2i").tolist() == [0, 1, 2, 0]
    assert len(set(pairs.clusters("i2t").tolist())) == 3
