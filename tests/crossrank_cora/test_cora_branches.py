"""Both branches of CORA against naive loops in float64, and what must not matter to them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from crossrank_cora.network import Cora, Sizes
from crossrank_cora.packed import Phrases, pack
from crossrank_cora.pooling import gpo_parts
from crossrank_cora.text_branch import TextBranch, padded, symmetric
from crossrank_graphs import Graph, graph_of_names
from toys.cora import SCENE, SCENES, SIZES, random_network, shuffled, vector, vectors
from toys.cora_oracle import naive_pictures, naive_texts

Doubles = NDArray[np.float64]
PHRASE = 6


def branch(places: bool = False, seed: int = 0) -> TextBranch:
    sizes = Sizes(region=3, phrase=PHRASE, dim=8, heads=2, hidden=3, places=places)
    return random_network(sizes, seed).double().texts


def encode(texts: TextBranch, *graphs: Graph) -> tuple[Doubles, Doubles]:
    phrases = Phrases()
    packed = pack(graphs, phrases)
    table = torch.from_numpy(vectors(list(phrases.rows), PHRASE))
    entities, captions = texts(packed, table)
    return entities.numpy(), captions.numpy()


@pytest.mark.parametrize("places", (False, True))
def test_texts_are_what_naive_loops_say(places: bool) -> None:
    texts = branch(places)
    entities, captions = encode(texts, *SCENES)
    expected = []
    for graph, found in zip(SCENES, captions, strict=True):
        parts = (
            [(each.name, each.attributes) for each in graph.objects],
            [(r.subject.index, r.predicate, r.object.index) for r in graph.relations],
        )
        if graph.objects:
            own, whole = naive_texts(texts, parts, lambda p: vector(p, PHRASE), places)
            expected += own
            np.testing.assert_allclose(found, whole, rtol=1e-8, atol=1e-11)
        else:
            assert not found.any()
    np.testing.assert_allclose(entities, expected, rtol=1e-8, atol=1e-11)


def test_permuting_objects_changes_nothing() -> None:
    texts = branch()
    entities, whole = encode(texts, SCENE)
    for order in list(permutations(range(4)))[1::5]:
        found, again = encode(texts, shuffled(SCENE, order))
        np.testing.assert_allclose(again, whole, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found, entities[list(order)], rtol=1e-9, atol=1e-12)


def test_what_shares_a_batch_changes_nothing() -> None:
    texts = branch()
    _, together = encode(texts, *SCENES, SCENE)
    for graph, row in zip(SCENES, together, strict=False):
        np.testing.assert_allclose(encode(texts, graph)[1][0], row, rtol=1e-9, atol=1e-12)


def test_the_direction_of_a_relation_counts() -> None:
    texts = branch()
    things: list[tuple[str, list[str]]] = [("dog", []), ("man", [])]
    _, (one, other) = encode(
        texts,
        graph_of_names("", things, [(0, "chase", 1)]),
        graph_of_names("", things, [(1, "chase", 0)]),
    )
    assert not np.allclose(one, other)


def test_an_entity_knows_its_attributes_and_nothing_else() -> None:
    texts = branch()
    entities, _ = encode(texts, SCENE)
    (alone,), _ = encode(texts, graph_of_names("", [("dog", ["wet", "brown"])], []))
    np.testing.assert_allclose(alone, entities[0], rtol=1e-9, atol=1e-12)


def test_edges_go_both_ways_and_stand_once() -> None:
    edges = symmetric(torch.tensor([0, 0, 1]), torch.tensor([1, 1, 1]), 3).T.tolist()
    assert sorted(map(tuple, edges)) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)]


def test_padding_of_no_rows_at_all() -> None:
    table, _ = padded(torch.zeros(0, 4), torch.tensor([0, 0]))
    assert table.shape == (2, 0, 4)


def test_gradients_reach_every_parameter_of_the_texts() -> None:
    texts = Cora(Sizes(phrase=PHRASE, dim=8, heads=2, hidden=3, region=3)).double().texts
    phrases = Phrases()
    packed = pack([SCENE], phrases)
    texts(packed, torch.from_numpy(vectors(list(phrases.rows), PHRASE)))[1].sum().backward()
    without = [name for name, each in texts.named_parameters() if each.grad is None]
    assert without == []


@pytest.fixture(scope="module")
def network() -> Cora:
    return random_network().double()


def test_pictures_are_what_naive_loops_say(network: Cora) -> None:
    regions = torch.randn(2, 5, SIZES.region, dtype=torch.float64)
    found = network.pictures(regions, torch.tensor([5, 3]))
    for row, count in enumerate((5, 3)):
        expected = naive_pictures(network.pictures, regions[row, :count].numpy(), SIZES.heads)
        np.testing.assert_allclose(found[row], expected, rtol=1e-9, atol=1e-12)


def test_padding_of_pictures_changes_nothing(network: Cora) -> None:
    regions = torch.randn(1, 4, SIZES.region, dtype=torch.float64)
    alone = network.pictures(regions, torch.tensor([4]))
    wide = torch.cat([regions, 1e3 * torch.ones(1, 3, SIZES.region, dtype=torch.float64)], dim=1)
    torch.testing.assert_close(network.pictures(wide, torch.tensor([4])), alone)


def test_cells_that_are_shown_keep_their_places(network: Cora) -> None:
    """Showing some cells with their places is showing those cells in any order."""
    regions, places = (
        torch.randn(1, 4, SIZES.region, dtype=torch.float64),
        torch.tensor([7, 2, 5, 0]),
    )
    order = torch.tensor([2, 0, 3, 1])
    one = network.pictures(regions, torch.tensor([4]), places)
    other = network.pictures(regions[:, order], torch.tensor([4]), places[order])
    torch.testing.assert_close(one, other)
    assert not torch.allclose(one, network.pictures(regions, torch.tensor([4])))


def test_outputs_have_unit_length(network: Cora) -> None:
    phrases = Phrases()
    packed = pack(SCENES, phrases)
    table = torch.from_numpy(vectors(list(phrases.rows)))
    entities, captions = network.read(packed, table)
    seen = network.see(torch.randn(3, 4, SIZES.region).double(), torch.tensor([4, 1, 2]))
    for rows in (entities, captions[:2], seen):
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(len(rows)).double())
    assert not captions[2].any()


def test_parts_of_pooled_regions_add_up(network: Cora) -> None:
    regions, lengths = torch.randn(1, 6, SIZES.region).double(), torch.tensor([6])
    parts = gpo_parts(
        network.pictures.regions(regions, lengths)[0], network.pictures.pool.weights(lengths, 6)[0]
    )
    torch.testing.assert_close(parts.sum(dim=0), network.pictures(regions, lengths)[0])


def test_graphs_are_taken_in_any_order() -> None:
    phrases = Phrases()
    packed = pack([SCENE, *SCENES[1:], SCENE], phrases)
    chosen = packed.take([3, 1, 0])
    again = pack([SCENE, SCENES[1], SCENE], Phrases(dict(phrases.rows)))
    assert chosen == again
