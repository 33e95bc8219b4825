"""The encoder against the real classes: processor, model, and ``processor.score_retrieval``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import crossrank as cr
from crossrank.errors import CrossrankError, InputError, ParameterError, PluginError, StoreError
from crossrank.testing import check_encoder
from crossrank_multivector import MultiVectorEncoder
from crossrank_multivector.checkpoint import FAMILIES
from toys.tiny_colvision import settings_of
from toys.tiny_tokenizers import transformers

TEXTS = ["a dog", "two cats on a red mat", "ein Baum 樹", "a dog", "x"]


def theirs(checkpoint: Path, pictures: Sequence[Image.Image]) -> Any:
    """Return what transformers makes of all texts with all pictures, one item at a time."""
    prefix = FAMILIES[settings_of(checkpoint)["model_type"]]
    processor = getattr(transformers, f"{prefix}Processor").from_pretrained(
        checkpoint, backend="pil"
    )
    model = getattr(transformers, f"{prefix}ForRetrieval").from_pretrained(checkpoint).eval()

    def vectors(inputs: Any) -> torch.Tensor:
        inputs.pop("labels", None)
        with torch.inference_mode():
            found: torch.Tensor = model(**inputs).embeddings[0]
        return found

    queries = [vectors(processor.process_queries(text=[t], return_tensors="pt")) for t in TEXTS]
    passages = [
        vectors(processor.process_images(images=[p], return_tensors="pt")) for p in pictures
    ]
    return processor.score_retrieval(queries, passages).numpy()


def test_maxsim_over_its_tokens_is_score_retrieval(
    checkpoint: Path, pictures: list[Image.Image]
) -> None:
    expected = theirs(checkpoint, pictures)
    queries = cr.encode("multivector", TEXTS, model=checkpoint)
    gallery = cr.encode("multivector", pictures, model=checkpoint)
    lists = cr.Candidates.from_lists(
        {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
    )
    stage = cr.Stage("filip", fusion=cr.Replace(), params={"aggregate": "sum"})
    found = cr.Pipeline(stage).rerank(lists, queries, gallery)
    for row, id in enumerate(queries.ids):
        scores = {hit.id: hit.score for hit in found[id]}
        ours = [scores[candidate] for candidate in gallery.ids]
        # the sum runs over some thirty tokens, of which each rounds at 6e-8
        np.testing.assert_allclose(ours, expected[row], rtol=1e-6, atol=1e-6)


def test_what_shares_a_batch_does_not_matter(checkpoint: Path, pictures: list[Image.Image]) -> None:
    encoder = MultiVectorEncoder(model=checkpoint)
    items = [cr.Item(image=picture) for picture in pictures]
    together = encoder.encode_batch(items, "image", ["tokens", "token_boxes"])
    for place, item in enumerate(items):
        alone = encoder.encode_batch([item], "image", ["tokens", "token_boxes"])
        np.testing.assert_allclose(together["tokens"][place], alone["tokens"][0], atol=1e-6)
        np.testing.assert_array_equal(together["token_boxes"][place], alone["token_boxes"][0])


def test_the_conformance_kit(checkpoint: Path) -> None:
    if settings_of(checkpoint)["model_type"] != "colqwen2":
        pytest.skip("one family stands for all: the kit encodes hundreds of items")
    for check in check_encoder(MultiVectorEncoder, model=checkpoint):
        check()


def test_own_tokens_are_marked_and_the_prompt_stays_out_of_evidence(
    checkpoint: Path, pictures: list[Image.Image]
) -> None:
    queries = cr.encode("multivector", ["a dog"], model=checkpoint)
    gallery = cr.encode("multivector", pictures, model=checkpoint)
    own = np.flatnonzero(queries["token_roles"][0])
    said = [queries["token_text"][0][place] for place in own]
    assert "".join(said) == "adog"  # the toys' tokens are bytes
    assert 0 < len(own) < len(queries["tokens"][0])
    (evidence,) = cr.Pipeline("filip").explain(queries, gallery, queries.ids[0], [gallery.ids[0]])[
        "filip"
    ]
    assert [link.query for link in evidence.links] == said
    assert all(link.candidate_box not in (None, (0.0, 0.0, 1.0, 1.0)) for link in evidence.links)


def test_the_fingerprint_is_the_checkpoint_and_what_decides_the_features(checkpoint: Path) -> None:
    encoder = MultiVectorEncoder(model=checkpoint)
    assert encoder.fingerprint() == MultiVectorEncoder(model=checkpoint).fingerprint()
    assert (
        encoder.fingerprint()
        != MultiVectorEncoder(model=checkpoint, dtype="bfloat16").fingerprint()
    )


def test_limits_of_pixels_are_for_those_that_keep_a_picture_s_shape(
    checkpoint: Path, pictures: list[Image.Image]
) -> None:
    if settings_of(checkpoint)["model_type"] != "colqwen2":
        with pytest.raises(ParameterError, match="keep a picture's shape"):
            cr.encode("multivector", pictures, model=checkpoint, max_pixels=256)
        return
    few = cr.encode("multivector", pictures, model=checkpoint, max_pixels=256)
    many = cr.encode("multivector", pictures, model=checkpoint)
    assert (few["token_roles"].flat.sum()) < many["token_roles"].flat.sum()


def test_what_it_refuses(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"multivector: .*nowhere is no folder"):
        cr.encode("multivector", ["a"], model=tmp_path / "nowhere")
    with pytest.raises(ParameterError, match="dtype is 'int8'"):
        MultiVectorEncoder(model=checkpoint, dtype="int8")
    with pytest.raises(ParameterError, match="min_pixels"):
        MultiVectorEncoder(model=checkpoint, min_pixels=0)
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ParameterError, match="type 'bert'; give a checkpoint of one of the types"):
        cr.encode("multivector", ["a"], model=other)
    half = tmp_path / "half"
    half.mkdir()
    (half / "config.json").write_text((checkpoint / "config.json").read_text())
    with pytest.raises(StoreError, match="holds no complete checkpoint"):
        cr.encode("multivector", ["a"], model=half)
    with pytest.raises(InputError, match="has no image"):
        MultiVectorEncoder(model=checkpoint).encode_batch([cr.Item(text="a")], "image", ["tokens"])
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(b"no picture")
    with pytest.raises(CrossrankError, match=r"torn\.jpg"):
        cr.encode("multivector", [torn], model=checkpoint)


def test_without_a_network_the_hub_is_a_friendly_error() -> None:
    with pytest.raises(PluginError, match="hf download vidore/none --local-dir none"):
        cr.encode("multivector", ["a"], model="vidore/none", local_files_only=True)
