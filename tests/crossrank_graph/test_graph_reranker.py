"""The reranker on graphs and cells that are small enough to follow by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import (
    FeatureMismatchError,
    InputError,
    MissingFeatureError,
    ParameterError,
)
from crossrank_graphs import Graph, Object, PrecomputedGraphs, graph_of_names, with_graphs

WORDS = ("red", "blue", "ball", "box", "on", "dog")
"""Each a dimension of its own."""


class OneHot(cr.Encoder):
    """A text's tokens are unit vectors of its words."""

    info = cr.EncoderInfo(
        name="one-hot",
        summary="words as dimensions",
        features={"text": ("tokens", "token_text"), "image": ("tokens", "token_boxes")},
    )

    def encode_batch(
        self, items: Iterable[cr.Item], modality: str, features: Iterable[str]
    ) -> dict[str, cr.Feature]:
        if modality == "image":  # a picture of one ball
            count = len(list(items))
            boxes = np.tile(np.array([[0.0, 0.0, 1.0, 1.0]], np.float32), (count, 1))
            seen: dict[str, cr.Feature] = {
                "tokens": cr.Ragged(np.stack([one_hot("ball")] * count), [1] * count),
                "token_boxes": cr.Ragged(boxes, [1] * count),
            }
            return {name: seen[name] for name in features}
        texts = [str(item.text).split() for item in items]
        rows = [one_hot(word) for words in texts for word in words]
        made: dict[str, cr.Feature] = {
            "tokens": cr.Ragged(np.stack(rows), [len(words) for words in texts]),
            "token_text": texts,
        }
        return {name: made[name] for name in features}


cr.register(OneHot)


def one_hot(*words: str) -> np.ndarray:
    vector = np.zeros(len(WORDS), np.float32)
    for word in words:
        vector[WORDS.index(word)] = 1.0
    return vector / np.linalg.norm(vector)


def pictures(*cells: list[tuple[str, ...]], encoder: str | None = None) -> cr.Collection:
    """Return pictures of cells that stand above each other."""
    counts = [len(each) for each in cells]
    rows = [one_hot(*words) for each in cells for words in each]
    boxes = [
        (0.0, place / len(each), 1.0, (place + 1) / len(each))
        for each in cells
        for place in range(len(each))
    ]
    return cr.Collection(
        range(len(cells)),
        "image",
        encoder=encoder,
        tokens=cr.Ragged(np.array(rows, np.float32).reshape(-1, len(WORDS)), counts),
        token_boxes=cr.Ragged(np.array(boxes, np.float32).reshape(-1, 4), counts),
    )


def texts(*graphs: Graph) -> cr.Collection:
    return cr.Collection(
        [f"t{place}" for place in range(len(graphs))],
        "text",
        text=[graph.text for graph in graphs],
        graph=[graph.to_dict() for graph in graphs],
    )


def scores(
    queries: cr.Collection, gallery: cr.Collection, **params: object
) -> tuple[np.ndarray, cr.Rankings]:
    """Return ``[queries, gallery]`` raw scores, NaN where it abstained, and the rankings."""
    shape = len(queries), len(gallery)
    lists = cr.Candidates.from_lists(
        [list(gallery.ids)] * shape[0], query_ids=queries.ids, candidate_ids=gallery.ids
    )
    stage = cr.Stage("graph", fusion=cr.Replace(), params={"encoder": "one-hot", **params})
    found = cr.Pipeline([stage]).rerank(lists, queries, gallery)
    table = np.full(shape, np.nan)
    for row, query in enumerate(queries.ids):
        for hit in found[query]:
            if hit.trace[0].score is not None:
                table[row, hit.index] = hit.trace[0].score
    return table, found


RED_BALL = graph_of_names("red ball and blue box", [("ball", ["red"]), ("box", ["blue"])], [])
BALL_ON_BOX = graph_of_names("ball on box", [("ball", []), ("box", [])], [(0, "on", 1)])
BOX_ON_BALL = graph_of_names("box on ball", [("ball", []), ("box", [])], [(1, "on", 0)])


def test_binding_wants_attribute_and_object_in_one_place() -> None:
    gallery = pictures(
        [("red", "ball"), ("blue", "box")],  # as the text says
        [("blue", "ball"), ("red", "box")],  # the same words
    )
    bound, _ = scores(texts(RED_BALL), gallery)
    free, _ = scores(texts(RED_BALL), gallery, binding=False)
    assert bound[0, 0] == pytest.approx(np.sqrt(0.5), abs=1e-6)
    assert bound[0, 1] == pytest.approx(np.sqrt(0.5) / 2, abs=1e-6)
    assert free[0, 0] == pytest.approx(free[0, 1])


def test_a_relation_orders_two_places() -> None:
    gallery = pictures([("ball",), ("box",)], [("box",), ("ball",)])
    ordered, _ = scores(texts(BALL_ON_BOX, BOX_ON_BALL), gallery, order=1.0, relations=0.0)
    assert ordered[0, 0] > ordered[0, 1] and ordered[1, 1] > ordered[1, 0]
    assert ordered[0, 0] - ordered[0, 1] == pytest.approx(1.0, abs=0.01)  # heights differ by 1/2
    without, _ = scores(texts(BALL_ON_BOX), gallery, order=0.0)
    assert without[0, 0] == pytest.approx(without[0, 1])


@pytest.mark.parametrize("aggregate", ["mean", "softmin"])
@pytest.mark.parametrize("binding", [True, False])
def test_equals_a_loop_in_float64(aggregate: str, binding: bool) -> None:
    graphs = (
        graph_of_names("x", [("ball", ["red"]), ("dog", ["blue"])], [(1, "on", 0)]),
        graph_of_names("y", [("box", [])], []),
    )
    gallery = pictures(
        [("red", "ball"), ("dog",), ("blue", "box")],
        [("dog", "on"), ("ball",)],
        [("box",)],
    )
    reference = pictures([("red",), ("ball", "dog")], [("blue", "box")])
    found, _ = scores(
        texts(*graphs),
        gallery,
        aggregate=aggregate,
        binding=binding,
        sharpness=7.0,
        relations=0.5,
        order=0.3,
        reference=reference,
    )
    for row, graph in enumerate(graphs):
        for column in range(len(gallery)):
            expected = naive(graph, gallery, column, reference, aggregate, binding)
            assert found[row, column] == pytest.approx(expected, abs=1e-6)


def naive(
    graph: Graph,
    gallery: cr.Collection,
    picture: int,
    reference: cr.Collection,
    aggregate: str,
    binding: bool,
) -> float:
    def response(phrase: str, cells: np.ndarray) -> float:
        words = [one_hot(word).astype(np.float64) for word in phrase.split()]
        if binding:
            return max(sum(float(c @ w) for w in words) / len(words) for c in cells)
        return sum(max(float(c @ w) for c in cells) for w in words) / len(words)

    def centred(phrase: str) -> float:
        usual = [response(phrase, cells) for cells in reference["tokens"]]
        return response(phrase, gallery["tokens"][picture]) - sum(usual) / len(usual)

    def height(word: str) -> float:
        cells, boxes = gallery["tokens"][picture], gallery["token_boxes"][picture]
        near = [np.exp(30.0 * float(cell.astype(np.float64) @ one_hot(word))) for cell in cells]
        middles = [(box[1] + box[3]) / 2 for box in boxes.astype(np.float64)]
        return float(np.dot(near, middles) / np.sum(near))

    units = [(1.0, centred(thing.phrase)) for thing in graph.objects]
    units += [
        (0.5, centred(f"{r.subject.name} {r.predicate} {r.object.name}")) for r in graph.relations
    ]
    whole = sum(weight for weight, _ in units)
    if aggregate == "mean":
        value = sum(weight * unit for weight, unit in units) / whole
    else:
        value = -np.log(sum(w * np.exp(-7.0 * unit) for w, unit in units) / whole) / 7.0
    orders = [height(r.object.name) - height(r.subject.name) for r in graph.relations]
    return float(value + 0.3 * sum(orders) / max(1, len(orders)))


def test_a_text_without_things_keeps_its_list_and_says_why() -> None:
    empty = graph_of_names("…", [], [])
    gallery = pictures([("ball",)], [("box",)])
    table, found = scores(texts(empty), gallery)
    assert np.isnan(table).all()
    assert [hit.id for hit in found["t0"]] == ["0", "1"]
    assert "names no thing" in found["t0"][0].trace[0].note


def test_a_picture_without_tokens_is_abstained_from() -> None:
    table, _ = scores(texts(RED_BALL), pictures([], [("ball",)]))
    assert np.isnan(table[0, 0]) and np.isfinite(table[0, 1])


def test_more_attributes_are_no_evidence_by_themselves() -> None:
    """With a reference a phrase that says more wins only if the picture answers to more of it."""
    plain = graph_of_names("ball", [("ball", [])], [])
    more = graph_of_names("red ball", [("ball", ["red"])], [])
    reference = pictures([("ball",)], [("red", "ball")], [("box",)], [("dog",)])
    picture = pictures([("ball",)])
    table, _ = scores(picture, texts(plain, more), reference=reference)
    assert table[0, 0] > table[0, 1]
    table, _ = scores(pictures([("red", "ball")]), texts(plain, more), reference=reference)
    assert table[0, 1] > table[0, 0]


def test_evidence_leads_from_units_to_boxes() -> None:
    gallery = pictures([("red", "ball"), ("blue", "box")])
    queries = texts(RED_BALL)
    stage = cr.Stage("graph", fusion=cr.Replace(), params={"encoder": "one-hot"})
    (evidence,) = cr.Pipeline([stage]).explain(queries, gallery, "t0", ["0"])["graph"]
    said = {link.query: link for link in evidence.links}
    assert set(said) == {"red ball", "blue box"}
    assert said["red ball"].candidate_box == pytest.approx((0.0, 0.0, 1.0, 0.5))
    assert said["blue box"].candidate_box == pytest.approx((0.0, 0.5, 1.0, 1.0))


def test_a_reference_counts_by_what_it_holds(tmp_path: Path) -> None:
    """Scores that were kept are not believed when another reference lies at its place."""
    pictures([("red", "ball")]).save(tmp_path / "one")
    pictures([("red", "ball")]).save(tmp_path / "moved")
    first = cr.Stage("graph", params={"reference": tmp_path / "one"}).fingerprint()
    assert cr.Stage("graph", params={"reference": str(tmp_path / "moved")}).fingerprint() == first
    shutil.rmtree(tmp_path / "one")
    pictures([("blue", "box")]).save(tmp_path / "one")
    assert cr.Stage("graph", params={"reference": tmp_path / "one"}).fingerprint() != first


def test_graphs_and_phrases_are_cached(tmp_path: Path) -> None:
    class Counting:
        calls = 0

        def graphs(self, sentences: Iterable[str]) -> Iterator[Graph]:
            Counting.calls += 1
            yield from PrecomputedGraphs([RED_BALL]).graphs(sentences)

        def fingerprint(self) -> str:
            return "counting"

    queries = cr.Collection(["q"], "text", text=[RED_BALL.text])
    gallery = pictures([("red", "ball")])
    lists = cr.Candidates.from_lists([["0"]], query_ids=["q"], candidate_ids=gallery.ids)
    stage = cr.Stage("graph", params={"encoder": "one-hot", "parser": Counting()})
    pipeline = cr.Pipeline([cr.Stage(stage.reranker, fusion=cr.Replace(), params=stage.params)])
    first = pipeline.rerank(lists, queries, gallery, cache_folder=tmp_path)
    second = pipeline.rerank(lists, queries, gallery, cache_folder=tmp_path)
    assert first["q"][0].score == second["q"][0].score and Counting.calls == 1
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} >= {"graphs", "phrases"}


def test_only_new_phrases_are_encoded(tmp_path: Path) -> None:
    gallery = pictures([("red", "ball"), ("box",)])
    stage = cr.Stage("graph", fusion=cr.Replace(), params={"encoder": "one-hot"})
    found = []
    for graphs in ((RED_BALL,), (RED_BALL, BALL_ON_BOX), (BALL_ON_BOX,)):
        queries = texts(*graphs)
        lists = cr.Candidates.from_lists(
            [["0"]] * len(graphs), query_ids=queries.ids, candidate_ids=gallery.ids
        )
        for folder in (tmp_path, None):
            run = cr.Pipeline(stage).rerank(lists, queries, gallery, cache_folder=folder)
            found.append([ranking[0].score for ranking in run.values()])
        assert found[-1] == found[-2]
    kept = [cr.Collection.open(path).ids for path in tmp_path.glob("phrases-*")]
    assert sorted(phrase for ids in kept for phrase in ids) == sorted(
        ["red ball", "blue box", "ball on box", "ball", "box"]
    )


def test_the_feature_graph_of_a_collection_is_saved_with_it(tmp_path: Path) -> None:
    made = with_graphs(
        cr.Collection(["a"], "text", text=[RED_BALL.text]), PrecomputedGraphs([RED_BALL])
    )
    made.save(tmp_path / "texts")
    opened = cr.Collection.open(tmp_path / "texts")
    assert Graph.from_dict(opened["graph"][0]) == RED_BALL


def test_a_text_of_very_many_things_is_scored_in_portions() -> None:
    names = [f"{one} {other} {third}" for one in WORDS for other in WORDS for third in WORDS]
    many = graph_of_names(
        "long",
        [(name, list(WORDS[:2])) for name in names * 40],
        [(k, "on", k + 1) for k in range(40 * len(names) - 1)],
    )
    gallery = pictures([("ball",), ("box", "red")], [("dog",)], [("blue", "on"), ("red",)])
    together, _ = scores(texts(many), gallery)
    for column in range(len(gallery)):
        alone = pictures(*(_cells(gallery, column),))
        assert scores(texts(many), alone)[0][0, 0] == pytest.approx(together[0, column], abs=1e-5)


def _cells(gallery: cr.Collection, picture: int) -> list[tuple[str, ...]]:
    rows = gallery["tokens"][picture]
    return [tuple(word for word, x in zip(WORDS, row, strict=True) if x) for row in rows]


@pytest.mark.parametrize("phrases", ["auto", "alone", "context"])
def test_one_call_encodes_what_it_needs(phrases: str) -> None:
    picture = Image.new("RGB", (4, 4))
    parser = PrecomputedGraphs([graph_of_names("ball", [("ball", [])], [])])
    if phrases == "context":
        spans = Graph("ball", (Object(0, "ball", (), (0, 4)),))
        parser = PrecomputedGraphs([spans])
    ranking = cr.rerank(
        "ball", [picture], "graph", encoder="one-hot", phrases=phrases, parser=parser
    )
    assert ranking[0].score == pytest.approx(1.0)


def test_context_needs_tokens_and_their_words() -> None:
    gallery, queries = pictures([("ball",)]), texts(RED_BALL)
    with pytest.raises(MissingFeatureError, match="token"):
        scores(queries, gallery, encoder=None)


def test_alone_needs_an_encoder() -> None:
    with pytest.raises(InputError, match="encoder='lite'"):
        scores(texts(RED_BALL), pictures([("ball",)]), encoder=None, phrases="alone")


def test_another_encoder_s_pictures_are_refused() -> None:
    with pytest.raises(FeatureMismatchError, match="encode"):
        scores(texts(RED_BALL), pictures([("ball",)], encoder="lite:abc"))


def test_a_feature_that_is_no_graph_is_named() -> None:
    queries = cr.Collection(["q"], "text", text=["ball"], graph=["ball"])
    with pytest.raises(InputError, match="'q'"):
        scores(queries, pictures([("ball",)]))


@pytest.mark.parametrize(
    "params",
    [
        {"aggregate": "max"},
        {"order": -1.0},
        {"relations": float("nan")},
        {"sharpness": 0.0},
        {"phrases": "near"},
        {"reference": 3},
        {"parser": "spacy"},
        {"binding": 1},
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(ParameterError, match=f"graph: {next(iter(params))}"):
        cr.Stage("graph", params=params)
