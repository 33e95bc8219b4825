from __future__ import annotations

import pytest

from crossrank_demo.scenes import Crop, Query, Scenes, load_scenes


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return load_scenes()


def test_ids_are_unique_and_every_crop_names_its_photograph(scenes: Scenes) -> None:
    crops = [crop.id for crop in scenes.crops]
    assert len(set(crops)) == len(crops)
    assert len({query.id for query in scenes.queries}) == len(scenes.queries)
    for photograph in scenes.photographs:
        assert all(crop.id.split("/")[0] == photograph.name for crop in photograph.crops)


def test_boxes_lie_in_the_photograph_and_one_crop_is_all_of_it(scenes: Scenes) -> None:
    for photograph in scenes.photographs:
        for crop in photograph.crops:
            x0, y0, x1, y1 = crop.box
            assert 0 <= x0 < x1 <= 1, crop.id
            assert 0 <= y0 < y1 <= 1, crop.id
        assert (0, 0, 1, 1) in [crop.box for crop in photograph.crops]


def test_every_label_a_query_asks_for_stands_at_some_crop(scenes: Scenes) -> None:
    known = frozenset().union(*(crop.shows for crop in scenes.crops))
    for query in scenes.queries:
        assert query.needs, query.id
        assert query.needs | query.without <= known, query.id


def test_every_query_has_relevant_crops_but_not_all(scenes: Scenes) -> None:
    ids = {crop.id for crop in scenes.crops}
    qrels = scenes.qrels()
    assert list(qrels) == [query.id for query in scenes.queries]
    for query, relevant in qrels.items():
        assert 0 < len(relevant) < 10, query
        assert relevant.keys() <= ids
        assert set(relevant.values()) == {1}


def test_some_crop_of_a_relevant_photograph_is_not_relevant(scenes: Scenes) -> None:
    """Else finding the photograph would be all there is to it; the galaxies alone are that easy."""
    for query, relevant in scenes.qrels().items():
        photographs = {id.split("/")[0] for id in relevant}
        near = {crop.id for crop in scenes.crops if crop.id.split("/")[0] in photographs}
        assert near != set(relevant) or query == "galaxies", query


def test_what_a_few_queries_want(scenes: Scenes) -> None:
    qrels = scenes.qrels()
    assert qrels["spoon"].keys() == {"coffee/whole", "coffee/right"}
    assert qrels["glasses"].keys() == {"officer/whole", "officer/portrait"}
    assert qrels["no-spoon"].keys() == {"coffee/cup", "coffee/handle", "coffee/left"}
    assert {"astronaut/flag", "officer/flag"} <= qrels["flag"].keys()


def test_a_query_wants_all_of_its_needs_and_nothing_it_excludes() -> None:
    crop = Crop("a/b", (0, 0, 1, 1), frozenset({"cup", "spoon"}))
    for needs, without, wanted in [
        ({"cup"}, set(), True),
        ({"cup", "spoon"}, set(), True),
        ({"cup", "table"}, set(), False),
        ({"cup"}, {"spoon"}, False),
        ({"cup"}, {"table"}, True),
    ]:
        assert Query("q", "q", frozenset(needs), frozenset(without)).wants(crop) is wanted


def test_photographs_that_ask_for_attribution_get_it(scenes: Scenes) -> None:
    for photograph in scenes.photographs:
        assert photograph.credit
        assert photograph.licence
        assert photograph.source.startswith("https://")
    by_name = {photograph.name: photograph for photograph in scenes.photographs}
    assert by_name["pagoda"].licence == by_name["flower"].licence == "CC BY 2.0"
